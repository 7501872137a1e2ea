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

// `text` from column `indent` on, where the line already is; the last line ends.
std::string hanging(const std::string& text, int indent, int width) {
  std::string result;
  for (const std::string& line : report::wrapped(text, width - indent))
    result += (result.empty() ? "" : std::string(static_cast<size_t>(indent), ' ')) + line + "\n";
  return result;
}

// Columns that help takes: those of `style`'s terminal, but not so many that lines are hard to read.
int width_of(const report::Style& style) {
  constexpr int kMost = 100, kLeast = 60;
  return style.terminal().is_terminal ? std::clamp(style.terminal().columns, kLeast, kMost) : kMost;
}

}  // namespace

std::string overview(const report::Style& style) {
  const int width = style.terminal().is_terminal ? width_of(style) : 1000;
  std::string text = "Try:  " + style.bold("convoy demo") + "\n\nCommands:\n";
  for (const Command& command : all_commands())
    text += fmt::format("  {}  {}", style.bold(fmt::format("{:<8}", command.name)), hanging(command.summary, 12, width));
  return text + "\n" + hanging("'convoy help COMMAND' explains a command, 'convoy --version' names the version.", 0, width) +
         hanging(
             "Exit codes: 0 done, 1 what was compared differs, 2 wrong command line, 3 unusable file, 4 impossible sizes or too "
             "little memory, 5 a bug, 130 Ctrl-C.",
             0, width);
}

std::string explanation(const Command& command, const report::Style& style) {
  constexpr int kLeft = 28;
  const int width = width_of(style);
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
      text += "  " + hanging(option->get_description(), kLeft + 4, width);
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
