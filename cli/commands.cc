#include "cli/command.h"

namespace convoy::cli {

Command help_command();

const std::vector<Command>& all_commands() {
  // A new command is one file cmd_<name>.cc that defines <name>_command(), declared above and listed here.
  static const std::vector<Command> commands{help_command()};
  return commands;
}

}  // namespace convoy::cli
