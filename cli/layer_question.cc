#include "cli/layer_question.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "cli/session.h"
#include "convoy/core/suggest.h"
#include "convoy/report/format.h"

namespace convoy::cli {

namespace {

using shape::Axis;
using shape::ShapeError;
using shape::ShapeErrorCode;

constexpr const char* kFamilyNames[] = {"conv", "conv_transpose", "max_pool", "avg_pool"};
constexpr LayerFamily kFamilies[] = {LayerFamily::kConv, LayerFamily::kTransposed, LayerFamily::kMaxPool, LayerFamily::kAvgPool};

// "ConvTranspose2d" and "conv_transpose2d" are the same word.
std::string folded(const std::string& word) {
  std::string text;
  for (const char c : word) {
    if (c != '_') text += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  }
  return text;
}

void read_layer(const std::string& word, LayerQuestion& question) {
  std::vector<std::string> names;
  for (const LayerFamily family : kFamilies) {
    for (int rank = 1; rank <= shape::kMaxSpatialRank; ++rank) {
      question.family = family;
      question.rank = rank;
      names.push_back(question.name());
      if (folded(names.back()) == folded(word)) return;
    }
  }
  throw UsageError("unknown layer '" + word + "'" + did_you_mean(word, names), "layers: " + report::joined(names));
}

bool is_separator(char c) { return c == 'x' || c == 'X' || c == ','; }

// The whole numbers of "8x10" or "1,2,3,4"; empty if there is anything else.
std::vector<int64_t> numbers(std::string_view text) {
  std::vector<int64_t> values;
  while (true) {
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc()) return {};
    values.push_back(value);
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    if (text.empty()) return values;
    if (!is_separator(text[0])) return {};
    text.remove_prefix(1);
  }
}

[[noreturn]] void refuse_sizes(const std::string& option, const std::string& text, int rank, bool sides) {
  static constexpr const char* kExamples[] = {"224", "224x112", "16x224x112"};
  static constexpr const char* kSides[] = {"begin,end", "t,b,l,r", "front,back,t,b,l,r"};
  const std::string wanted =
      rank == 1 ? "a whole number" : fmt::format("a whole number, or {} as in {}", rank, sides ? "1x2" : kExamples[rank - 1]);
  const std::string padding = sides ? fmt::format(", or {}, or same, valid, full or half", kSides[rank - 1]) : "";
  throw UsageError(fmt::format("option '{}' needs {}{}, got '{}'", option, wanted, padding, text),
                   fmt::format("for example {} {}", option, sides ? "1" : kExamples[rank - 1]));
}

// Padding as the paper and PyTorch name it.
void name_padding(const std::string& name, const LayerQuestion& question, Axis& axis) {
  const shape::Result<int64_t> span = shape::effective_kernel_size(axis.kernel_size, axis.dilation);
  if (!span) return;  // the kernel itself will be refused
  if (name == "valid") {
    axis.pad_begin = axis.pad_end = 0;
  } else if (name == "half") {
    axis.pad_begin = axis.pad_end = *span / 2;
  } else if (name == "full") {
    axis.pad_begin = axis.pad_end = *span - 1;
  } else {
    const shape::PadPair same = *shape::same_padding(axis.kernel_size, axis.dilation);
    axis.pad_begin = same.begin;
    axis.pad_end = same.end;
  }
}

// TensorFlow's SAME for a stride, as an answer to padding="same", which PyTorch has for stride 1 only.
std::string strided_same(const LayerQuestion& question) {
  std::vector<int64_t> sides, output;
  for (size_t a = static_cast<size_t>(question.first_axis()); a < shape::kMaxSpatialRank; ++a) {
    const Axis& axis = question.axes[a];
    const auto same = shape::same_padding_tf(question.input[a], axis.kernel_size, axis.stride, axis.dilation);
    if (!same) return "use stride 1";
    sides.insert(sides.end(), {same->begin, same->end});
    output.push_back(shape::ceil_div(question.input[a], axis.stride));
  }
  return fmt::format("use stride 1; TensorFlow's SAME, output {} here, is -p {}", sizes_text(output), fmt::join(sides, ","));
}

void read_padding(const std::string& text, LayerQuestion& question) {
  const auto rank = static_cast<size_t>(question.rank), first = static_cast<size_t>(question.first_axis());
  if (text == "same" || text == "valid" || text == "full" || text == "half") {
    if (text == "same" && question.family != LayerFamily::kConv) {
      throw UsageError(fmt::format("padding 'same' is for convolutions, not for {}", question.name()),
                       "give a number, or valid, full or half");
    }
    for (size_t a = first; a < shape::kMaxSpatialRank; ++a) name_padding(text, question, question.axes[a]);
    const bool strided = std::any_of(question.axes.begin(), question.axes.end(), [](const Axis& axis) { return axis.stride > 1; });
    if (text == "same" && strided) {
      throw ValueError("padding='same' is not supported for strided convolutions", strided_same(question));
    }
    return;
  }
  const std::vector<int64_t> values = numbers(text);
  const bool sides = values.size() == 2 * rank;
  if (values.size() != 1 && values.size() != rank && !sides) refuse_sizes("--padding", text, question.rank, true);
  if (sides && question.family != LayerFamily::kConv) {
    throw UsageError(fmt::format("{} has the same padding on both sides, got '{}'", question.name(), text),
                     "give one number per axis; for one per side pad the input first");
  }
  for (size_t i = 0; i < rank; ++i) {
    Axis& axis = question.axes[first + i];
    axis.pad_begin = sides ? values[2 * i] : values[values.size() == 1 ? 0 : i];
    axis.pad_end = sides ? values[2 * i + 1] : axis.pad_begin;
  }
}

}  // namespace

std::string LayerQuestion::name() const { return fmt::format("{}{}d", kFamilyNames[static_cast<size_t>(family)], rank); }

shape::ChainLayer LayerQuestion::chain_layer(const Axis& axis, int64_t axis_output_padding) const {
  const shape::LayerKind kind = pools()        ? shape::LayerKind::kPool
                                : transposed() ? shape::LayerKind::kTransposed
                                               : shape::LayerKind::kConv;
  return {kind, axis, axis_output_padding, ceil_mode};
}

shape::Result<int64_t> LayerQuestion::output_size(int64_t n, const Axis& axis, int64_t axis_output_padding) const {
  const int64_t least = std::min(axis.pad_begin, axis.pad_end), most = std::max(axis.pad_begin, axis.pad_end);
  if (least < 0) return ShapeError{ShapeErrorCode::kNegativePadding, -1, least, 0};
  const int64_t limit = shape::pool_padding_limit(axis.kernel_size);
  if (pools() && axis.kernel_size >= 1 && most > limit) return ShapeError{ShapeErrorCode::kPaddingTooLarge, -1, most, limit};
  return shape::layer_output_size(n, chain_layer(axis, axis_output_padding));
}

shape::Remedies LayerQuestion::remedies(size_t axis) const {
  if (pools()) return shape::pool_remedies(input[axis], axes[axis], ceil_mode);
  if (transposed()) return shape::transposed_remedies(input[axis], axes[axis], output_padding[axis]);
  return shape::conv_remedies(input[axis], axes[axis]);
}

std::vector<std::vector<size_t>> LayerQuestion::equal_axes() const {
  std::vector<std::vector<size_t>> alike;
  for (auto a = static_cast<size_t>(first_axis()); a < shape::kMaxSpatialRank; ++a) {
    const auto same = std::find_if(alike.begin(), alike.end(), [&](const std::vector<size_t>& group) {
      const size_t b = group.front();
      return input[a] == input[b] && axes[a] == axes[b] && output_padding[a] == output_padding[b];
    });
    if (same == alike.end()) {
      alike.push_back({a});
    } else {
      same->push_back(a);
    }
  }
  return alike;
}

std::string LayerQuestion::axis_name(size_t axis) const {
  static constexpr const char* kNames[] = {"depth", "height", "width"};
  return rank == 1 ? "length" : kNames[axis];
}

std::string LayerQuestion::axis_names(const std::vector<size_t>& which) const {
  std::vector<std::string> names;
  for (const size_t a : which) names.push_back(axis_name(a));
  return report::joined(names, ", ", " and ");
}

LayerQuestion read_question(const LayerWords& words) {
  LayerQuestion question;
  read_layer(words.layer, question);
  const auto rank = static_cast<size_t>(question.rank), first = static_cast<size_t>(question.first_axis());
  question.batch = words.batch.value_or(1);
  question.groups = words.groups.value_or(1);
  question.in_channels = words.in_channels;
  question.out_channels = words.out_channels;
  question.ceil_mode = words.ceil_mode;
  const auto refuse = [&question](const char* option, const std::string& why) {
    throw UsageError(fmt::format("{} has no {}", question.name(), option), why);
  };
  if (question.pools()) {
    if (words.groups) refuse("groups", "every channel is pooled by itself");
    if (words.out_channels) refuse("--out", "pooling keeps the number of channels: give --in alone");
  }
  if (question.family == LayerFamily::kAvgPool && words.dilation) refuse("dilation", "max_pool has");
  if (!question.pools() && words.ceil_mode) refuse("ceil_mode", "pooling layers have");
  if (!question.transposed() && words.output_padding) refuse("output_padding", "transposed convolutions have");
  if (question.in_channels && !question.out_channels) question.out_channels = question.in_channels;
  if (question.out_channels && !question.in_channels) {
    throw UsageError("--out is given without --in", "give both: --in 3 --out 64");
  }
  if (!words.kernel_size)
    throw UsageError("the kernel size is missing", fmt::format("for example convoy shape {} -i 224 -k 3", question.name()));

  const auto set = [&](const std::optional<std::string>& text, const char* option, auto&& member) {
    if (!text) return;
    const std::vector<int64_t> values = read_sizes(option, *text, question.rank);
    for (size_t i = 0; i < rank; ++i) member(first + i) = values[i];
  };
  set(words.input, "--input", [&](size_t a) -> int64_t& { return question.input[a]; });
  set(words.kernel_size, "--kernel-size", [&](size_t a) -> int64_t& { return question.axes[a].kernel_size; });
  if (question.pools()) {
    for (size_t a = first; a < shape::kMaxSpatialRank; ++a) question.axes[a].stride = question.axes[a].kernel_size;
  }
  set(words.stride, "--stride", [&](size_t a) -> int64_t& { return question.axes[a].stride; });
  set(words.dilation, "--dilation", [&](size_t a) -> int64_t& { return question.axes[a].dilation; });
  set(words.output_padding, "--output-padding", [&](size_t a) -> int64_t& { return question.output_padding[a]; });
  if (words.padding) read_padding(*words.padding, question);
  return question;
}

std::vector<int64_t> read_sizes(const std::string& option, const std::string& text, int rank) {
  std::vector<int64_t> values = numbers(text);
  if (values.size() == 1) values = std::vector(static_cast<size_t>(rank), values[0]);  // assign() may not be given an element
  if (values.size() != static_cast<size_t>(rank)) refuse_sizes(option, text, rank, false);
  return values;
}

std::string sizes_option(const std::vector<int64_t>& values) {
  const bool one = std::all_of(values.begin(), values.end(), [&](int64_t v) { return v == values[0]; });
  return one ? std::to_string(values[0]) : fmt::format("{}", fmt::join(values, "x"));
}

std::string sizes_text(const std::vector<int64_t>& values) { return fmt::format("{}", fmt::join(values, "×")); }

}  // namespace convoy::cli
