#include "cli/command.h"

namespace convoy::cli {

Command bench_command();
Command check_command();
Command demo_command();
Command fuse_command();
Command help_command();
Command predict_command();
Command run_command();
Command shape_command();
Command summary_command();
Command train_command();

const std::vector<Command>& all_commands() {
  // A new command is one file cmd_<name>.cc that defines <name>_command(), declared above and listed here.
  static const std::vector<Command> commands{demo_command(),  train_command(), predict_command(), fuse_command(),
                                             check_command(), shape_command(), summary_command(), run_command(),
                                             bench_command(), help_command()};
  return commands;
}

}  // namespace convoy::cli
