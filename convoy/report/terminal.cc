#include "convoy/report/terminal.h"

#include <langinfo.h>
#include <locale.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <utility>

#include "convoy/core/utf8.h"

namespace convoy::report {

namespace {

struct Symbol {
  std::string_view utf8, ascii;
};

constexpr std::array<Symbol, 45> kSymbols{{
    {"✓", "ok"}, {"✗", "FAILED"}, {"→", "->"}, {"←", "<-"},     {"×", "x"}, {"━", "="},     {"─", "-"},  {"│", "|"},   {"┃", "|"},
    {"┼", "+"},  {"├", "|"},      {"└", "`"},  {"┌", "+"},      {"┐", "+"}, {"┘", "+"},     {"▐", "|"},  {"▌", "|"},   {"▁", "_"},
    {"▂", "."},  {"▃", ":"},      {"▄", "-"},  {"▅", "="},      {"▆", "+"}, {"▇", "*"},     {"█", "#"},  {"≥", ">="},  {"≤", "<="},
    {"≈", "~"},  {"±", "+-"},     {"−", "-"},  {"⌊", "floor("}, {"⌋", ")"}, {"⌈", "ceil("}, {"⌉", ")"},  {"…", "..."}, {"µ", "u"},
    {"•", "*"},  {"▶", ">"},      {"–", "-"},  {"—", "-"},      {"‘", "'"}, {"’", "'"},     {"“", "\""}, {"”", "\""},  {"²", "^2"},
}};

// The length of the escape sequence "\x1b[...letter" at the front of `text`, 0 if there is none.
size_t escape_length(std::string_view text) {
  if (text.size() < 2 || text[0] != '\x1b' || text[1] != '[') return 0;
  for (size_t i = 2; i < text.size(); ++i) {
    if (text[i] >= '@' && text[i] <= '~') return i + 1;
  }
  return text.size();
}

// The character at the front of `text`; a byte that is not UTF-8 counts as one.
Utf8Character decode(std::string_view text) {
  const Utf8Character character = front_character(text);
  return character.length > 0 ? character : Utf8Character{static_cast<unsigned char>(text[0]), 1};
}

int character_width(uint32_t code) {
  if (code >= 0x300 && code <= 0x36F) return 0;  // combining marks
  constexpr std::array<std::pair<uint32_t, uint32_t>, 8> kWide{{{0x1100, 0x115F},
                                                                {0x2E80, 0x303E},
                                                                {0x3041, 0xA4CF},
                                                                {0xAC00, 0xD7A3},
                                                                {0xF900, 0xFAFF},
                                                                {0xFF00, 0xFF60},
                                                                {0x1F300, 0x1FAFF},
                                                                {0x20000, 0x3FFFD}}};
  return std::any_of(kWide.begin(), kWide.end(), [&](const auto& range) { return code >= range.first && code <= range.second; })
             ? 2
             : 1;
}

}  // namespace

std::optional<std::string> process_environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr) return std::nullopt;
  return std::string(value);
}

bool use_color(ColorMode mode, bool is_terminal, const Environment& environment) {
  if (mode != ColorMode::kAuto) return mode == ColorMode::kAlways;
  if (!environment("NO_COLOR").value_or("").empty()) return false;
  const std::string force = environment("CLICOLOR_FORCE").value_or("");
  if (!force.empty() && force != "0") return true;
  const std::string term = environment("TERM").value_or("");
  return is_terminal && !term.empty() && term != "dumb" && environment("CLICOLOR").value_or("1") != "0";
}

bool locale_is_utf8() {
  const locale_t locale = newlocale(LC_CTYPE_MASK, "", static_cast<locale_t>(nullptr));
  if (locale == static_cast<locale_t>(nullptr)) return false;
  const std::string_view codeset = nl_langinfo_l(CODESET, locale);
  const bool utf8 = codeset == "UTF-8" || codeset == "utf8";
  freelocale(locale);
  return utf8;
}

std::string to_ascii(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    const auto [code, length] = decode(text);
    const std::string_view character = text.substr(0, length);
    if (code >= 0x2800 && code <= 0x28FF) {  // Braille cells show pictures: as dark as they have dots
      result += " ..:++**#"[std::popcount(code & 0xFF)];
      text.remove_prefix(length);
      continue;
    }
    if (character == "·") {  // between words a separator, between numbers a product
      result += result.ends_with(' ') ? '-' : '*';
      text.remove_prefix(length);
      continue;
    }
    const auto* symbol = length == 1
                             ? kSymbols.end()
                             : std::find_if(kSymbols.begin(), kSymbols.end(), [&](const Symbol& s) { return s.utf8 == character; });
    result += symbol == kSymbols.end() ? character : symbol->ascii;
    text.remove_prefix(length);
  }
  return result;
}

int display_width(std::string_view text) {
  int width = 0;
  while (!text.empty()) {
    if (const size_t escape = escape_length(text); escape > 0) {
      text.remove_prefix(escape);
      continue;
    }
    const auto [code, length] = decode(text);
    width += character_width(code);
    text.remove_prefix(length);
  }
  return width;
}

std::string pad_right(std::string_view text, int width) {
  return std::string(text) + std::string(static_cast<size_t>(std::max(0, width - display_width(text))), ' ');
}

std::string pad_left(std::string_view text, int width) {
  return std::string(static_cast<size_t>(std::max(0, width - display_width(text))), ' ') + std::string(text);
}

std::string truncated(std::string_view text, int width) {
  std::string result;
  int used = 0;
  bool full = false;
  while (!text.empty()) {
    if (const size_t escape = escape_length(text); escape > 0) {
      result += text.substr(0, escape);
      text.remove_prefix(escape);
      continue;
    }
    const auto [code, length] = decode(text);
    full = full || used + character_width(code) > width;
    if (!full) {
      used += character_width(code);
      result += text.substr(0, length);
    }
    text.remove_prefix(length);
  }
  return result;
}

std::string without_middle(std::string_view text, int width, std::string_view gap) {
  const int rest = width - display_width(gap);
  if (display_width(text) <= width || rest < 2 || text.find('\x1b') != std::string_view::npos) return std::string(text);
  const std::string front = truncated(text, rest / 2);
  return front + without_front(text.substr(front.size()), width - rest / 2, gap);
}

std::string without_front(std::string_view text, int width, std::string_view gap) {
  if (display_width(text) <= width) return std::string(text);
  while (!text.empty() && display_width(text) > width - display_width(gap)) text.remove_prefix(decode(text).length);
  return std::string(gap) + std::string(text);
}

std::vector<std::string> wrapped(std::string_view text, int width) {
  std::vector<std::string> lines(1);
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    if (!lines.back().empty() && display_width(lines.back()) + 1 + display_width(word) > width) lines.emplace_back();
    lines.back().append(lines.back().empty() ? "" : " ").append(word);
    text.remove_prefix(std::min(word.size() + 1, text.size()));
  }
  return lines;
}

Terminal inspect_terminal(int descriptor, ColorMode color, bool ascii) {
  Terminal terminal;
  terminal.is_terminal = isatty(descriptor) == 1;
  const std::string term = process_environment("TERM").value_or("dumb");
  terminal.is_dumb = term.empty() || term == "dumb";
  terminal.color = use_color(color, terminal.is_terminal);
  terminal.utf8 = !ascii && locale_is_utf8();
  winsize size{};
  if (ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    terminal.columns = size.ws_col;
  } else if (const int columns = std::atoi(process_environment("COLUMNS").value_or("").c_str()); columns > 0) {
    terminal.columns = columns;
  }
  return terminal;
}

std::string Style::wrap(const char* code, std::string_view text) const {
  if (!terminal_.color || text.empty()) return std::string(text);
  return std::string("\x1b[") + code + "m" + std::string(text) + "\x1b[0m";
}

}  // namespace convoy::report
