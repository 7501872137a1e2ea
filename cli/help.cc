// The texts of `convoy help`, made from the commands' own options.
#include <fmt/format.h>

#include <algorithm>

#include "cli/command.h"
#include "cli/environment.h"
#include "convoy/report/format.h"

namespace convoy::cli {

namespace {

// "-k, --top N"
std::string left_column(const CLI::Option& option) {
  std::vector<std::string> names;
  for (const std::string& name : option.get_snames()) names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) names.push_back("--" + name);
  std::string text = report::joined(names);
  if (option.get_items_expected_max() > 0 && !option.get_type_name().empty()) text += " " + option.get_type_name();
  return text;
}

// Words of `text` in lines of at most `width` columns, those after the first indented.
std::string wrapped(const std::string& text, int width, int indent) {
  std::string result, line;
  size_t at = 0;
  while (at < text.size()) {
    const size_t end = std::min(text.find(' ', at), text.size());
    const std::string word = text.substr(at, end - at);
    if (!line.empty() && report::display_width(line) + 1 + report::display_width(word) > width) {
      result += line + "\n" + std::string(static_cast<size_t>(indent), ' ');
      line.clear();
    }
    line += line.empty() ? word : " " + word;
    at = end + 1;
  }
  return result + line;
}

}  // namespace

std::string overview(const report::Style& style) {
  std::string text = "Try:  " + style.bold("convoy demo") + "\n\nCommands:\n";
  for (const Command& command : all_commands())
    text += fmt::format("  {}  {}\n", style.bold(fmt::format("{:<8}", command.name)), command.summary);
  return text +
         "\n'convoy help COMMAND' explains a command, 'convoy --version' names the version.\n"
         "Exit codes: 0 done, 1 what was compared differs, 2 wrong command line, 3 unusable file, 4 impossible sizes or too "
         "little memory, 5 a bug, 130 Ctrl-C.\n";
}

std::string explanation(const Command& command, const report::Style& style) {
  constexpr int kLeft = 28, kWidth = 100;
  CLI::App app;
  CommonOptions common;
  app.set_help_flag("");
  command.declare(app);
  add_common_options(app, common);

  std::string text = fmt::format("{}: {}\n\n  convoy {}", style.bold("convoy " + command.name), command.summary, command.name);
  if (!command.arguments.empty()) text += " " + command.arguments;
  text += " [options]\n";
  std::vector<std::string> groups;
  for (const CLI::Option* option : app.get_options()) {
    if (!option->get_positional() && std::find(groups.begin(), groups.end(), option->get_group()) == groups.end()) {
      groups.push_back(option->get_group());
    }
  }
  for (const std::string& group : groups) {
    text += "\n" + group + ":\n";
    for (const CLI::Option* option : app.get_options()) {
      if (option->get_positional() || option->get_group() != group) continue;
      const std::string left = left_column(*option);
      text += "  " + report::pad_right(left, kLeft);
      if (report::display_width(left) >= kLeft) text += "\n  " + std::string(kLeft, ' ');
      text += "  " + wrapped(option->get_description(), kWidth - kLeft - 4, kLeft + 4) + "\n";
    }
  }
  text += "\nEnvironment:\n";
  for (const EnvironmentVariable& variable : environment_variables()) {
    text += "  " + report::pad_right(variable.name, kLeft) + variable.values + ": " + variable.meaning + "\n";
  }
  if (!command.examples.empty()) text += "\nExamples:\n";
  for (const std::string& example : command.examples) text += "  " + example + "\n";
  return text;
}

}  // namespace convoy::cli
