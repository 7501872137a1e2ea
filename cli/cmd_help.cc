// convoy help [COMMAND]
#include "cli/command.h"

namespace convoy::cli {

namespace {

struct Options {
  std::string command;
};

void declare(CLI::App& app, Options& options) { app.add_option("COMMAND", options.command); }

report::Json described(const Command& command) {
  return report::Json::object({{"name", command.name},
                               {"arguments", command.arguments},
                               {"summary", command.summary},
                               {"examples", report::Json::array_of(command.examples)}});
}

int run(const Options& options, Session& session) {
  report::Json document = report::Json::object({{"schema", "convoy.help/1"}, {"version", CONVOY_VERSION}});
  if (!options.command.empty()) {
    const Command& command = find_command(options.command);
    session.print(explanation(command, session.style()));
    document.set("command", described(command));
    document.set("text", explanation(command, report::Style()));
  } else {
    session.print(overview(session.style()));
    report::Json commands = report::Json::array();
    for (const Command& command : all_commands()) commands.push(described(command));
    document.set("commands", commands);
  }
  session.document(document);
  return kOk;
}

}  // namespace

Command help_command() {
  return make_command<Options>({.name = "help",
                                .arguments = "[COMMAND]",
                                .summary = "explain a command: its options, with examples",
                                .examples = {"convoy help train", "convoy help --json"}},
                               declare, run);
}

}  // namespace convoy::cli
