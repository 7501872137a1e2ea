#include "convoy/shape/descriptor.h"

#include <algorithm>
#include <charconv>

namespace convoy::shape {

namespace {

constexpr char kAxisLetter[] = {'d', 'h', 'w'};
constexpr int kEveryAxis = 3;  // the slot of a word without an axis letter

enum Field { kBatch, kInChannels, kOutChannels, kGroups, kInput, kKernel, kStride, kPadding, kDilation, kOutputPadding, kFields };

struct Word {
  Field field;
  int axis;
};

// The meaning of a run of letters; false if it has none. Words of one axis are a stem and d, h or w.
bool find_word(std::string_view letters, Word* word) {
  struct Named {
    std::string_view text;
    Field field;
  };
  constexpr Named kWhole[] = {{"n", kBatch}, {"ic", kInChannels}, {"oc", kOutChannels}, {"g", kGroups}};
  constexpr Named kStems[] = {{"i", kInput},   {"k", kKernel},   {"s", kStride},
                              {"p", kPadding}, {"d", kDilation}, {"op", kOutputPadding}};
  for (const Named& named : kWhole) {
    if (letters == named.text) {
      *word = {named.field, kEveryAxis};
      return true;
    }
  }
  for (const Named& named : kStems) {
    if (!letters.starts_with(named.text)) continue;
    const std::string_view rest = letters.substr(named.text.size());
    if (rest.empty()) {
      *word = {named.field, kEveryAxis};
      return true;
    }
    const char* const letter = std::find(std::begin(kAxisLetter), std::end(kAxisLetter), rest[0]);
    if (rest.size() == 1 && letter != std::end(kAxisLetter)) {
      *word = {named.field, static_cast<int>(letter - kAxisLetter)};
      return true;
    }
  }
  return false;
}

// What was said about one field, by axis and for every axis.
struct Values {
  std::array<int64_t, kMaxSpatialRank + 1> value{};
  std::array<int64_t, kMaxSpatialRank + 1> end{};  // the second number of a padding
  std::array<bool, kMaxSpatialRank + 1> given{};

  // The slot that holds for an axis, or -1.
  int slot(int axis) const { return given[static_cast<size_t>(axis)] ? axis : given[kEveryAxis] ? kEveryAxis : -1; }
};

constexpr bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
constexpr bool is_letter(char c) { return c >= 'a' && c <= 'z'; }

ShapeError at(ShapeErrorCode code, size_t begin, size_t end) {
  return {code, -1, static_cast<int64_t>(begin), static_cast<int64_t>(end - begin)};
}

// Reads a number at `at`, moving it behind the number. A minus sign is only for padding.
bool read_number(std::string_view text, size_t* at, bool may_be_negative, int64_t* number) {
  const char* const first = text.data() + *at;
  const char* const last = text.data() + text.size();
  if (first != last && *first == '-' && !may_be_negative) return false;
  const std::from_chars_result read = std::from_chars(first, last, *number);
  *at += static_cast<size_t>(read.ptr - first);
  return read.ec == std::errc();
}

// The end of the word at `begin`, as a reader sees it: up to the next blank.
size_t word_end(std::string_view text, size_t begin) {
  return static_cast<size_t>(std::find_if(text.begin() + static_cast<std::ptrdiff_t>(begin), text.end(), is_blank) - text.begin());
}

}  // namespace

DescriptorText& DescriptorText::append(std::string_view word) {
  const size_t count = std::min(word.size(), text_.size() - 1 - size_);
  std::copy_n(word.data(), count, text_.data() + size_);
  size_ += count;
  return *this;
}

DescriptorText& DescriptorText::append(int64_t number) {
  std::array<char, 24> digits;
  const std::to_chars_result end = std::to_chars(digits.data(), digits.data() + digits.size(), number);
  return append(std::string_view(digits.data(), static_cast<size_t>(end.ptr - digits.data())));
}

Result<ConvShape> parse_descriptor(std::string_view text) {
  ConvShape s;
  std::array<Values, kFields> said;
  std::array<bool, kMaxSpatialRank> letter_seen{};
  size_t output_padding_at = 0, output_padding_end = 0;
  bool first_word = true;
  for (size_t i = 0; i < text.size();) {
    if (is_blank(text[i])) {
      ++i;
      continue;
    }
    constexpr std::string_view kTransposed = "transposed";
    if (first_word && text.substr(i).starts_with(kTransposed)) {
      s.transposed = true;
      i += kTransposed.size();
      first_word = false;
      continue;
    }
    first_word = false;
    const size_t begin = i;
    while (i < text.size() && is_letter(text[i])) ++i;
    Word word{};
    if (!find_word(text.substr(begin, i - begin), &word)) return at(ShapeErrorCode::kUnknownWord, begin, word_end(text, begin));
    const bool padding = word.field == kPadding;
    int64_t value = 0;
    if (!read_number(text, &i, padding, &value)) return at(ShapeErrorCode::kBadNumber, begin, word_end(text, begin));
    int64_t end = value;
    if (padding && i < text.size() && text[i] == ':') {
      ++i;
      if (!read_number(text, &i, true, &end)) return at(ShapeErrorCode::kBadNumber, begin, word_end(text, begin));
    }
    Values& values = said[word.field];
    const auto slot = static_cast<size_t>(word.axis);
    if (values.given[slot]) return at(ShapeErrorCode::kRepeatedWord, begin, i);
    values.given[slot] = true;
    values.value[slot] = value;
    values.end[slot] = end;
    if (word.axis != kEveryAxis) letter_seen[slot] = true;
    if (word.field == kOutputPadding && value != 0 && output_padding_end == 0) {
      output_padding_at = begin;
      output_padding_end = i;
    }
  }
  if (!s.transposed && output_padding_end != 0) return at(ShapeErrorCode::kNotTransposed, output_padding_at, output_padding_end);

  const auto whole = [&said](Field field, int64_t otherwise) {
    return said[field].given[kEveryAxis] ? said[field].value[kEveryAxis] : otherwise;
  };
  s.batch = whole(kBatch, 1);
  s.in_channels = whole(kInChannels, 1);
  s.out_channels = whole(kOutChannels, 1);
  s.groups = whole(kGroups, 1);
  s.rank = letter_seen[0] ? 3 : letter_seen[1] || !letter_seen[2] ? 2 : 1;
  for (int a = s.first_axis(); a < kMaxSpatialRank; ++a) {
    const auto axis = static_cast<size_t>(a);
    const auto value = [&said, a](Field field, int64_t otherwise) {
      const int slot = said[field].slot(a);
      return slot < 0 ? otherwise : said[field].value[static_cast<size_t>(slot)];
    };
    if (said[kInput].slot(a) < 0) return ShapeError{ShapeErrorCode::kMissingInputSize, a};
    if (said[kKernel].slot(a) < 0) return ShapeError{ShapeErrorCode::kMissingKernelSize, a};
    s.input[axis] = value(kInput, 1);
    s.axes[axis].kernel_size = value(kKernel, 1);
    s.axes[axis].stride = value(kStride, 1);
    s.axes[axis].dilation = value(kDilation, 1);
    s.axes[axis].pad_begin = value(kPadding, 0);
    const int pad = said[kPadding].slot(a);
    s.axes[axis].pad_end = pad < 0 ? 0 : said[kPadding].end[static_cast<size_t>(pad)];
    s.output_padding[axis] = value(kOutputPadding, 0);
  }
  return complete(s);
}

std::string_view offending_word(std::string_view text, const ShapeError& error) {
  switch (error.code) {
    case ShapeErrorCode::kUnknownWord:
    case ShapeErrorCode::kBadNumber:
    case ShapeErrorCode::kRepeatedWord:
    case ShapeErrorCode::kNotTransposed:
      return static_cast<size_t>(error.value) <= text.size()
                 ? text.substr(static_cast<size_t>(error.value), static_cast<size_t>(error.limit))
                 : std::string_view();
    default:
      return {};
  }
}

DescriptorText descriptor(const ConvShape& s) {
  DescriptorText text;
  if (s.transposed) text.append("transposed ");
  text.append("n").append(s.batch).append(" ic").append(s.in_channels).append(" oc").append(s.out_channels);
  text.append(" g").append(s.groups);
  const auto words = [&](std::string_view stem, auto value) {
    for (int a = s.first_axis(); a < kMaxSpatialRank; ++a) {
      const auto axis = static_cast<size_t>(a);
      text.append(" ").append(stem).append(std::string_view(&kAxisLetter[a], 1));
      value(axis);
    }
  };
  words("i", [&](size_t a) { text.append(s.input[a]); });
  words("k", [&](size_t a) { text.append(s.axes[a].kernel_size); });
  words("s", [&](size_t a) { text.append(s.axes[a].stride); });
  words("p", [&](size_t a) {
    text.append(s.axes[a].pad_begin);
    if (s.axes[a].pad_end != s.axes[a].pad_begin) text.append(":").append(s.axes[a].pad_end);
  });
  words("d", [&](size_t a) { text.append(s.axes[a].dilation); });
  if (s.transposed && s.output_padding != Spatial{0, 0, 0}) words("op", [&](size_t a) { text.append(s.output_padding[a]); });
  return text;
}

}  // namespace convoy::shape
