// A command of the tool, and the options it is made of.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cli/exit_code.h"
#include "cli/session.h"

namespace convoy::cli {

/// What `convoy help` and the dispatcher need to know of a command.
struct Command {
  std::string name;                             // "check"
  std::string arguments;                        // "FILE..."
  std::string summary;                          // one line of the list of commands
  std::vector<std::string> examples;            // whole command lines that work
  std::function<void(CLI::App&)> declare = {};  // its options
  std::function<int(Session&)> run = {};        // parse, call, print; returns the exit code
};

/// Ties a command to its options: `declare` adds them to the parser, `run` gets them filled in.
template <class Options>
Command make_command(Command command, void (*declare)(CLI::App&, Options&), int (*run)(const Options&, Session&)) {
  auto options = std::make_shared<Options>();
  command.declare = [options, declare](CLI::App& app) { declare(app, *options); };
  command.run = [options, run](Session& session) { return run(*options, session); };
  return command;
}

/// Every command, in the order of the help (commands.cc).
const std::vector<Command>& all_commands();

/// The command of that name. Throws UsageError with the nearest name.
const Command& find_command(const std::string& name);

/// "convoy 0.1.0".
std::string version();

// Options whose values are checked here rather than by the parser, so that a wrong one is answered with its name, its value and
// what would work.

/// A whole number from `least` to `most`; `name` as in "--epochs" or "-k,--top".
CLI::Option* add_integer(CLI::App& app, const std::string& name, int64_t& value, int64_t least, int64_t most,
                         const std::string& text);
CLI::Option* add_integer(CLI::App& app, const std::string& name, std::optional<int64_t>& value, int64_t least, int64_t most,
                         const std::string& text);
/// A number from `least` to `most`, or above `least` if `open`.
CLI::Option* add_number(CLI::App& app, const std::string& name, std::optional<double>& value, double least, double most, bool open,
                        const std::string& text);
/// One of some words.
CLI::Option* add_choice(CLI::App& app, const std::string& name, std::optional<std::string>& value,
                        const std::vector<std::string>& choices, const std::string& text);
/// Any text; `type` stands for it in the help ("FILE").
CLI::Option* add_text(CLI::App& app, const std::string& name, std::optional<std::string>& value, const std::string& type,
                      const std::string& text);

/// Adds --json, --color, --ascii, --progress and --threads.
void add_common_options(CLI::App& app, CommonOptions& options);

/// The text of `convoy help` and of `convoy help COMMAND`.
std::string overview(const report::Style& style);
std::string explanation(const Command& command, const report::Style& style);

}  // namespace convoy::cli
