#include "cli/command.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "convoy/core/suggest.h"
#include "convoy/report/format.h"

namespace convoy::cli {

namespace {

[[noreturn]] void refuse(const std::string& name, const std::string& given, const std::string& wanted, const std::string& fix) {
  throw UsageError(fmt::format("option '{}' needs {}, got '{}'", name, wanted, given), fix);
}

// "--top" of "-k,--top".
std::string long_name(const std::string& name) { return name.substr(name.rfind(',') + 1); }

int64_t parse_integer(const std::string& name, const std::string& text, int64_t least, int64_t most) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  if (whole && value >= least && value <= most) return value;
  const std::string range = most == std::numeric_limits<int64_t>::max() ? fmt::format("a whole number of at least {}", least)
                                                                        : fmt::format("a whole number from {} to {}", least, most);
  const bool too_large = whole ? value > most : error == std::errc::result_out_of_range && !text.starts_with('-');
  const int64_t nearest = too_large ? most : least;
  refuse(name, text, range, fmt::format("for example {} {}", name, nearest));
}

double parse_number(const std::string& name, const std::string& text, double least, double most, bool open) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool good = error == std::errc() && end == text.data() + text.size() && std::isfinite(value);
  if (good && (open ? value > least : value >= least) && value <= most) return value;
  std::string wanted = open ? fmt::format("a number above {}", least) : fmt::format("a number of at least {}", least);
  if (std::isfinite(most)) wanted += fmt::format(" and at most {}", most);
  refuse(name, text, wanted, fmt::format("for example {} {}", name, open ? 0.1 : std::max(least, 0.0)));
}

CLI::Option* add_parsed(CLI::App& app, const std::string& name, const std::string& type, const std::string& text,
                        const std::function<void(const std::string&)>& parse) {
  return app.add_option_function<std::string>(name, parse, text)->type_name(type);
}

}  // namespace

CLI::Option* add_integer(CLI::App& app, const std::string& name, int64_t& value, int64_t least, int64_t most,
                         const std::string& text) {
  return add_parsed(app, name, "N", text, [=, &value, option = long_name(name)](const std::string& given) {
    value = parse_integer(option, given, least, most);
  });
}

CLI::Option* add_integer(CLI::App& app, const std::string& name, std::optional<int64_t>& value, int64_t least, int64_t most,
                         const std::string& text) {
  return add_parsed(app, name, "N", text, [=, &value, option = long_name(name)](const std::string& given) {
    value = parse_integer(option, given, least, most);
  });
}

CLI::Option* add_number(CLI::App& app, const std::string& name, std::optional<double>& value, double least, double most, bool open,
                        const std::string& text) {
  return add_parsed(app, name, "X", text, [=, &value, option = long_name(name)](const std::string& given) {
    value = parse_number(option, given, least, most, open);
  });
}

CLI::Option* add_choice(CLI::App& app, const std::string& name, std::optional<std::string>& value,
                        const std::vector<std::string>& choices, const std::string& text) {
  return add_parsed(app, name, report::joined(choices, "|"), text, [=, &value, option = long_name(name)](const std::string& given) {
    if (std::find(choices.begin(), choices.end(), given) == choices.end()) {
      const std::string nearest = suggestion(given, choices);
      refuse(option, given, report::joined(choices, ", ", " or "),
             nearest.empty() ? "for example " + option + " " + choices.front() : "did you mean " + option + " " + nearest + "?");
    }
    value = given;
  });
}

CLI::Option* add_text(CLI::App& app, const std::string& name, std::optional<std::string>& value, const std::string& type,
                      const std::string& text) {
  return add_parsed(app, name, type, text, [&value, type, option = long_name(name)](const std::string& given) {
    if (given.empty()) throw UsageError("option '" + option + "' needs a value, got ''", "give " + option + " " + type);
    value = given;
  });
}

void add_common_options(CLI::App& app, CommonOptions& options) {
  const auto common = [](CLI::Option* option) { return option->group("Common options"); };
  common(app.add_flag("--json", options.json, "print one JSON object instead of text"));
  const auto color = [&options](const std::string& mode) {
    options.color = mode == "always"  ? report::ColorMode::kAlways
                    : mode == "never" ? report::ColorMode::kNever
                                      : report::ColorMode::kAuto;
  };
  const auto progress = [&options](const std::string& mode) {
    options.progress = mode == "bar"     ? report::ProgressMode::kBar
                       : mode == "plain" ? report::ProgressMode::kPlain
                       : mode == "none"  ? report::ProgressMode::kNone
                                         : report::ProgressMode::kAuto;
  };
  const auto choice = [&](const std::string& name, const std::vector<std::string>& choices, const std::string& text,
                          const auto& set) {
    common(add_parsed(app, name, report::joined(choices, "|"), text, [=](const std::string& given) {
      std::optional<std::string> value;
      if (std::find(choices.begin(), choices.end(), given) == choices.end()) {
        refuse(name, given, report::joined(choices, ", ", " or "), "for example " + name + "=" + choices.front());
      }
      set(given);
    }));
  };
  choice("--color", {"auto", "always", "never"}, "colours (auto follows the terminal, NO_COLOR and CLICOLOR_FORCE)", color);
  common(app.add_flag("--ascii", options.ascii, "no characters beyond ASCII (the default where the locale is not UTF-8)"));
  choice("--progress", {"auto", "bar", "plain", "none"}, "progress on standard error: a bar, or one line per 10 %", progress);
  common(add_parsed(
      app, "--threads", "N", "threads (default: all that the process may use); never changes a result",
      [&options](const std::string& given) { options.threads = static_cast<int>(parse_integer("--threads", given, 1, 1024)); }));
}

const Command& find_command(const std::string& name) {
  const std::vector<Command>& commands = all_commands();
  const auto found = std::find_if(commands.begin(), commands.end(), [&](const Command& command) { return command.name == name; });
  if (found != commands.end()) return *found;
  std::vector<std::string> names;
  for (const Command& command : commands) names.push_back(command.name);
  throw UsageError("unknown command '" + name + "'" + did_you_mean(name, names), "commands: " + report::joined(names));
}

std::string version() { return "convoy " CONVOY_VERSION; }

}  // namespace convoy::cli
