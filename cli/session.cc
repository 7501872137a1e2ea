#include "cli/session.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "convoy/core/utf8.h"

namespace convoy::cli {

namespace {

// False if the stream is closed or broken; errno says why.
bool write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

// Every line after the first is set under the first one's words. What would move the cursor is escaped: names come from files, too,
// and so do words of any length, whose ends nobody reads.
std::string indented(std::string_view text) {
  constexpr size_t kLongest = 4000;
  std::string result;
  while (!text.empty()) {
    if (result.size() >= kLongest) return result + "...";
    const auto [code, length] = front_character(text);
    const bool moves = (code < 0x20 && code != '\n' && code != '\t') || (code >= 0x7F && code < 0xA0);
    if (length == 0 || moves) {
      result += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[0]));
      text.remove_prefix(1);
      continue;
    }
    result += text.substr(0, length);
    if (code == '\n') result += "       ";
    text.remove_prefix(length);
  }
  return result;
}

report::Json error_object(std::string_view reason, std::string_view fix, int exit_code) {
  return report::Json::object({{"schema", "convoy.error/1"}, {"error", reason}, {"fix", fix}, {"exit_code", exit_code}});
}

}  // namespace

void Session::configure(const CommonOptions& options) {
  options_ = options;
  out_ = report::Style(report::inspect_terminal(STDOUT_FILENO, options.color, options.ascii));
  err_ = report::Style(report::inspect_terminal(STDERR_FILENO, options.color, options.ascii));
}

void Session::write_out(std::string_view text) {
  if (write_all(STDOUT_FILENO, text)) return;
  if (errno == EPIPE) throw BrokenPipe();
  throw FileError("standard output: " + std::string(std::strerror(errno)), "give it a place that can be written to");
}

void Session::write_err(std::string_view text) { (void)write_all(STDERR_FILENO, err_.shown(text)); }

void Session::print(std::string_view text) {
  if (!options_.json) write_out(out_.shown(text));
}

void Session::document(const report::Json& document) {
  if (options_.json) write_out(document.text() + "\n");
  documented_ = true;
}

void Session::keep_for_error(std::string name, report::Json value) { kept_.emplace_back(std::move(name), std::move(value)); }

void Session::warn(std::string_view text) { write_err("convoy: " + err_.yellow("warning:") + " " + indented(text) + "\n"); }

void Session::interrupted(std::string_view finished, int exit_code) {
  write_err("convoy: " + err_.yellow("interrupted:") + " " + indented(finished) + "\n");
  if (!documented_) document(error_object("interrupted: " + std::string(finished), "", exit_code));
}

void Session::complain(std::string_view reason, std::string_view fix) {
  std::string text = "convoy: " + err_.red("error:") + " " + indented(reason) + "\n";
  if (!fix.empty()) text += "       " + indented(fix) + "\n";
  write_err(text);
}

void Session::fail(std::string_view reason, std::string_view fix, int exit_code) {
  complain(reason, fix);
  report::Json error = error_object(reason, fix, exit_code);
  for (auto& [name, value] : kept_) error.set(name, std::move(value));
  try {
    document(error);
  } catch (const FileError&) {  // nobody can be told more; the exit code is that of what went wrong first
  }
}

}  // namespace convoy::cli
