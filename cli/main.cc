// The command line tool: finds the command, lets it parse and run, turns what went wrong into words and an exit code.
#include <algorithm>
#include <csignal>
#include <cstdint>
#include <new>
#include <string>
#include <vector>

#include "cli/available_memory.h"
#include "cli/command.h"
#include "cli/environment.h"
#include "cli/interrupt.h"
#include "convoy/core/parallel.h"
#include "convoy/core/storage.h"
#include "convoy/core/suggest.h"

namespace convoy::cli {

namespace {

// The position of the command among the words, or the word count: options that every command takes may stand in front of it.
size_t command_position(const std::vector<std::string>& words) {
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--color" || words[i] == "--progress" || words[i] == "--threads") {
      ++i;
    } else if (!words[i].starts_with('-')) {
      return i;
    }
  }
  return words.size();
}

// How to report errors in the command line itself, when it cannot be parsed.
CommonOptions glimpsed(const std::vector<std::string>& words) {
  CommonOptions options;
  for (size_t i = 0; i < words.size() && words[i] != "--"; ++i) {
    options.json = options.json || words[i] == "--json";
    options.ascii = options.ascii || words[i] == "--ascii";
    const std::string value = words[i] == "--color" && i + 1 < words.size() ? words[i + 1] : words[i];
    if (value == "always" || value == "--color=always") options.color = report::ColorMode::kAlways;
    if (value == "never" || value == "--color=never") options.color = report::ColorMode::kNever;
  }
  return options;
}

std::vector<std::string> option_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    for (const std::string& name : option->get_snames()) names.push_back("-" + name);
  }
  return names;
}

// Where a value was forgotten the parser takes the next option for it, and where it is empty the next word.
void check_values(const CLI::App& app, const std::vector<std::string>& words, const std::string& advice) {
  const auto option_of = [&](const std::string& word) {
    return word.starts_with('-') ? app.get_option_no_throw(word.substr(0, word.find('='))) : nullptr;
  };
  for (size_t i = 0; i < words.size() && words[i] != "--"; ++i) {
    const CLI::Option* option = option_of(words[i]);
    if (option == nullptr) continue;
    const size_t equals = words[i].find('=');
    const std::string name = "option '" + words[i].substr(0, equals) + "'";
    if (option->get_items_expected_min() == 0) {
      if (equals != std::string::npos) throw UsageError(name + " takes no value", advice);
    } else if (equals != std::string::npos) {
      if (equals + 1 == words[i].size()) throw UsageError(name + " needs a value, got ''", advice);
    } else if (++i < words.size() && (words[i] == "--" || option_of(words[i]) != nullptr)) {
      throw UsageError(name + " needs a value", advice);
    }
  }
}

// The parser's own complaints in the tool's words.
void parse(CLI::App& app, const std::string& command, std::vector<std::string> words) {
  const std::string advice =
      command.empty() ? "'convoy help' lists the commands" : "'convoy help " + command + "' lists the options";
  check_values(app, words, advice);
  app.allow_extras();
  std::reverse(words.begin(), words.end());  // the parser takes them from the end
  try {
    app.parse(std::move(words));
  } catch (const CLI::ArgumentMismatch& mismatch) {
    const std::string text = mismatch.what();
    const std::string name = text.substr(0, text.find(':'));
    throw UsageError("option '" + name + "' needs a value", advice);
  } catch (const CLI::ParseError& error) {
    throw UsageError(error.what(), advice);
  }
  std::vector<std::string> extras = app.remaining();
  std::erase(extras, "--");  // what follows it is in its place already
  if (extras.empty()) return;
  const auto option =
      std::find_if(extras.begin(), extras.end(), [](const std::string& word) { return word.size() > 1 && word[0] == '-'; });
  if (option != extras.end()) {
    const std::string name = option->substr(0, option->find('='));
    throw UsageError("unknown option '" + name + "'" + did_you_mean(name, option_names(app)), advice);
  }
  throw UsageError("'convoy " + command + "' does not know what to do with '" + extras.front() + "'", advice);
}

int run_without_command(const std::vector<std::string>& words, Session& session) {
  CLI::App app;
  CommonOptions common;
  bool help = false, show_version = false;
  app.set_help_flag("");
  app.add_flag("-h,--help", help);
  app.add_flag("-V,--version", show_version);
  add_common_options(app, common);
  parse(app, "", words);
  session.configure(common);
  if (!show_version) return find_command("help").run(session);
  session.print(version() + "\n");
  session.document(report::Json::object({{"schema", "convoy.version/1"}, {"version", CONVOY_VERSION}}));
  return kOk;
}

int run(std::vector<std::string> words, Session& session) {
  session.configure(glimpsed(words));
  const size_t at = command_position(words);
  if (at == words.size()) return run_without_command(words, session);
  const Command& command = find_command(words[at]);
  words.erase(words.begin() + static_cast<ptrdiff_t>(at));

  CLI::App app;
  CommonOptions common;
  bool help = false;
  app.set_help_flag("");
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.add_flag("-h,--help", help);
  command.declare(app);
  add_common_options(app, common);
  parse(app, command.name, words);
  session.configure(common);
  if (help) {
    session.print(explanation(command, session.style()));
    session.document(report::Json::object({{"schema", "convoy.help/1"}, {"text", explanation(command, report::Style())}}));
    return kOk;
  }
  check_environment();
  set_num_threads(common.threads);
  // What a file says it holds is refused where the system would end the process.
  const MemoryBudget budget(available_memory().value_or(INT64_MAX));
  const int code = command.run(session);
  if (stop_signal() == 0) return code;
  session.interrupted("too late: the command was finished", kSignalled + stop_signal());
  return kSignalled + stop_signal();
}

int guarded(const std::vector<std::string>& words, Session& session) {
  const auto report = [&](const Error& error, int code) {
    session.fail(error.reason(), error.fix(), code);
    return code;
  };
  try {
    return run(words, session);
  } catch (const Interrupted& stopped) {
    session.interrupted(stopped.what(), kSignalled + stop_signal());
    return kSignalled + stop_signal();
  } catch (const BrokenPipe&) {
    return kSignalled + SIGPIPE;
  } catch (const UsageError& error) {
    return report(error, kUsage);
  } catch (const FileError& error) {
    return report(error, kBadFile);
  } catch (const ShapeMismatch& error) {
    return report(error, kImpossibleShape);
  } catch (const OutOfMemory& error) {
    return report(error, kImpossibleShape);
  } catch (const ValueError& error) {
    return report(error, kUsage);
  } catch (const Error& error) {
    return report(error, kInternal);
  } catch (const std::bad_alloc&) {
    return report(OutOfMemory("not enough memory", "use smaller sizes, fewer at a time, or a smaller batch"), kImpossibleShape);
  } catch (const std::exception& error) {
    session.fail(std::string("internal error: ") + error.what(), "this is a bug in convoy: please report the command line",
                 kInternal);
  }
  return kInternal;
}

}  // namespace

}  // namespace convoy::cli

int main(int argc, char** argv) {
  convoy::cli::install_signal_handlers();
  convoy::cli::Session session;
  const std::vector<std::string> words(argv + 1, argv + argc);
  try {
    return convoy::cli::guarded(words, session);
  } catch (const std::exception&) {  // even the error could not be written
    return convoy::cli::kSignalled + SIGPIPE;
  }
}
