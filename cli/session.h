// One run of the tool: where its words, numbers and errors go.
#pragma once

#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "convoy/core/error.h"
#include "convoy/report/json.h"
#include "convoy/report/progress.h"
#include "convoy/report/terminal.h"

namespace convoy::cli {

/// A command line that cannot be meant; exit code 2.
class UsageError : public Error {
 public:
  using Error::Error;
};

/// Nobody reads standard output any more.
class BrokenPipe : public std::exception {};

/// What every command takes.
struct CommonOptions {
  bool json = false;
  bool ascii = false;
  report::ColorMode color = report::ColorMode::kAuto;
  report::ProgressMode progress = report::ProgressMode::kAuto;
  int threads = 0;  // 0: as many as the process may use
};

class Session {
 public:
  Session() { configure({}); }

  void configure(const CommonOptions& options);
  const CommonOptions& options() const { return options_; }

  /// Marks for standard output.
  const report::Style& style() const { return out_; }
  report::ProgressOptions progress(double delay = 0) const { return {options_.progress, err_.terminal(), {}, {}, delay}; }

  /// Text for people, on standard output; silent under --json. Throws BrokenPipe, or FileError if it cannot be written.
  void print(std::string_view text);
  /// The command's one JSON object, under --json only.
  void document(const report::Json& document);
  /// Adds a member to the object that fail() prints: what was found before the error.
  void keep_for_error(std::string name, report::Json value);
  /// "convoy: warning: ..." on standard error.
  void warn(std::string_view text);
  /// "convoy: interrupted: ..." on standard error; under --json also an object on standard output, unless there is one already.
  void interrupted(std::string_view finished, int exit_code);
  /// "convoy: error: reason" and what would work on the next line, on standard error.
  void complain(std::string_view reason, std::string_view fix);
  void complain(const Error& error) { complain(error.reason(), error.fix()); }
  /// The same for an error that ends the command; under --json also an object on standard output.
  void fail(std::string_view reason, std::string_view fix, int exit_code);

 private:
  void write_out(std::string_view text);
  void write_err(std::string_view text);

  CommonOptions options_;
  bool documented_ = false;
  report::Style out_, err_;
  std::vector<report::Json::Member> kept_;
};

}  // namespace convoy::cli
