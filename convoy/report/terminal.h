// What a terminal can show, and the few ways of marking text that the tool uses. Meaning never rests on colour alone.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace convoy::report {

enum class ColorMode { kAuto, kAlways, kNever };

/// Reads an environment variable; nullopt if it is not set. Tests give their own.
using Environment = std::function<std::optional<std::string>(const char*)>;
std::optional<std::string> process_environment(const char* name);

/// Whether to colour a stream: what `mode` says, else NO_COLOR (set: no), CLICOLOR_FORCE (set, not "0": yes), TERM (unset or
/// "dumb": no), else whether it is a terminal. Source: no-color.org, bixense.com/clicolors.
bool use_color(ColorMode mode, bool is_terminal, const Environment& environment = process_environment);

/// Whether the locale's characters (LC_ALL, LC_CTYPE, LANG) are UTF-8.
bool locale_is_utf8();

/// Text for people who see only ASCII: the tool's own symbols spelled out ("✓" is "ok", "→" is "->", "━" is "="). Other characters,
/// such as those of a file's name, stay as they are.
std::string to_ascii(std::string_view text);

/// Columns that a text takes on the screen: UTF-8 decoded, escape sequences skipped, East Asian wide characters counted twice.
int display_width(std::string_view text);

/// `text` with spaces up to `width` columns, on the right or on the left of it.
std::string pad_right(std::string_view text, int width);
std::string pad_left(std::string_view text, int width);

/// At most `width` columns of `text`, cut between characters. Escape sequences do not count and are kept.
std::string truncated(std::string_view text, int width);

/// The beginning and the end of `text` with `gap` between them, `width` columns together. Text that fits, or has escape sequences,
/// stays as it is.
std::string without_middle(std::string_view text, int width, std::string_view gap);

/// `gap` and the end of `text`, `width` columns together; text that fits stays as it is.
std::string without_front(std::string_view text, int width, std::string_view gap);

/// The words of `text` in lines of at most `width` columns; a longer word has a line of its own.
std::vector<std::string> wrapped(std::string_view text, int width);

/// Whether the stream can be redrawn, coloured, and how wide it is.
struct Terminal {
  bool is_terminal = false;
  bool is_dumb = false;  // TERM=dumb or unset: no cursor movement
  bool color = false;
  bool utf8 = false;
  int columns = 80;
};

/// Looks at a file descriptor. `ascii` overrides the locale; COLUMNS is the width of terminals that do not know theirs.
Terminal inspect_terminal(int descriptor, ColorMode color, bool ascii);

/// Marks text for one stream. Without colour every function returns the text unchanged.
class Style {
 public:
  explicit Style(const Terminal& terminal = {}) : terminal_(terminal) {}

  const Terminal& terminal() const { return terminal_; }
  std::string bold(std::string_view text) const { return wrap("1", text); }
  std::string dim(std::string_view text) const { return wrap("2", text); }
  std::string red(std::string_view text) const { return wrap("31", text); }
  std::string green(std::string_view text) const { return wrap("32", text); }
  std::string yellow(std::string_view text) const { return wrap("33", text); }
  std::string blue(std::string_view text) const { return wrap("34", text); }
  std::string cyan(std::string_view text) const { return wrap("36", text); }
  /// "✓" in green or "✗" in red.
  std::string mark(bool good) const { return good ? green("✓") : red("✗"); }
  /// The text as this stream can show it.
  std::string shown(std::string_view text) const { return terminal_.utf8 ? std::string(text) : to_ascii(text); }

 private:
  std::string wrap(const char* code, std::string_view text) const;
  Terminal terminal_;
};

}  // namespace convoy::report
