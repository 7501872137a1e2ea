#include "cli/layer_answer.h"

#include <fmt/format.h>

#include <algorithm>

#include "convoy/core/error.h"
#include "convoy/report/format.h"

namespace convoy::cli {

namespace {

using shape::Axis;
using shape::Parameter;
using shape::Range;
using shape::Remedy;
using shape::ShapeError;
using shape::ShapeErrorCode;

constexpr size_t kAxes = shape::kMaxSpatialRank;

size_t first_axis(const LayerQuestion& question) { return static_cast<size_t>(question.first_axis()); }

std::vector<int64_t> spatial(const LayerQuestion& question, const shape::Spatial& sizes) {
  return {sizes.begin() + question.first_axis(), sizes.end()};
}

// "2·3", or "(2+3)" where the sides differ.
std::string padding_term(const Axis& axis) {
  return axis.pad_begin == axis.pad_end ? fmt::format("2·{}", axis.pad_begin)
                                        : fmt::format("({}+{})", axis.pad_begin, axis.pad_end);
}

// What lies along an axis: "row", "columns".
std::string cells(const LayerQuestion& question, const std::vector<size_t>& axes, int64_t count) {
  static constexpr const char* kNames[] = {"slice", "row", "column"};
  std::vector<std::string> names;
  for (const size_t a : axes) names.push_back(std::string(question.rank == 1 ? "position" : kNames[a]) + (count == 1 ? "" : "s"));
  return report::joined(names, ", ", " and ");
}

// "the last row and column" or "the last 2 rows and columns".
std::string last_cells(const LayerQuestion& question, const std::vector<size_t>& axes, int64_t count,
                       const std::string& adjective) {
  return fmt::format("the last {}{}{}", count == 1 ? "" : report::grouped(count) + " ", adjective, cells(question, axes, count));
}

void note_unread(const LayerQuestion& question, const std::vector<size_t>& axes, std::vector<std::string>& notes) {
  const size_t a = axes.front();
  const Axis& axis = question.axes[a];
  const int64_t n = question.input[a];
  if (question.pools() && question.ceil_mode) return;
  const shape::Result<int64_t> padded = shape::unread_padded_tail(n, axis);
  if (!padded || *padded == 0) return;
  const int64_t inside = *shape::unread_tail(n, axis);
  const int64_t room = n + axis.pad_begin + axis.pad_end - axis.dilation * (axis.kernel_size - 1) - 1;
  const int64_t count = inside > 0 ? inside : *padded;
  std::string text =
      fmt::format("{} is {}: {} {} never read", room, axis.stride == 2 ? "odd" : fmt::format("no multiple of {}", axis.stride),
                  last_cells(question, axes, count, inside > 0 ? "" : "padded "), count == 1 && axes.size() == 1 ? "is" : "are");
  const shape::Result<Range> same = shape::inputs_for_output(*question.output_size(a), axis);
  if (same && same->size() == 2) {
    text += fmt::format("; i = {} gives the same output", same->begin == n ? same->begin + 1 : same->begin);
  } else if (same && same->size() > 2) {
    text += fmt::format("; i = {} to {} all give this output", same->begin, same->end - 1);
  }
  notes.push_back(text);
}

void note_gaps(const LayerQuestion& question, const std::vector<size_t>& axes, std::vector<std::string>& notes) {
  const Axis& axis = question.axes[axes.front()];
  const shape::Result<int64_t> unread = shape::unread_per_stride(axis);
  if (!unread || *unread == 0) return;
  notes.push_back(fmt::format("of every {} {} {} {} never read: the windows leave them out", axis.stride, cells(question, axes, 2),
                              *unread, *unread == 1 ? "is" : "are"));
}

void note_stamps(const LayerQuestion& question, const std::vector<size_t>& axes, std::vector<std::string>& notes) {
  const Axis& axis = question.axes[axes.front()];
  const std::string where = question.equal_axes().size() > 1 ? " (" + question.axis_names(axes) + ")" : "";
  if (shape::unread_per_stride(axis).value() > 0) {
    notes.push_back(
        fmt::format("stride {} reaches between the taps: some outputs see no input and are the bias alone{}", axis.stride, where));
  } else if (axis.kernel_size % axis.stride != 0) {
    notes.push_back(fmt::format("kernel {} is no multiple of stride {}: neighbouring outputs sum different numbers of products{}",
                                axis.kernel_size, axis.stride, where));
  }
}

// The transposed or plain convolution with the same settings that leads back to the input's size.
void note_way_back(const LayerQuestion& question, const shape::Spatial& output, std::vector<std::string>& notes) {
  const bool strided = std::any_of(question.axes.begin(), question.axes.end(), [](const Axis& axis) { return axis.stride > 1; });
  const bool even =
      std::all_of(question.axes.begin(), question.axes.end(), [](const Axis& axis) { return axis.pad_begin == axis.pad_end; });
  if (question.pools() || !strided || !even) return;
  const std::string input = sizes_text(spatial(question, question.input));
  const std::string target = sizes_option(spatial(question, question.input)) == std::to_string(question.input[2])
                                 ? std::to_string(question.input[2])
                                 : input;
  LayerQuestion back = question;
  back.family = question.transposed() ? LayerFamily::kConv : LayerFamily::kTransposed;
  back.input = output;
  std::vector<int64_t> output_padding;
  for (size_t a = first_axis(question); a < kAxes; ++a) {
    back.output_padding[a] = question.transposed() ? 0 : *shape::returning_output_padding(question.input[a], question.axes[a]);
    output_padding.push_back(back.output_padding[a]);
    const shape::Result<int64_t> size = back.output_size(a);
    if (!size || *size != question.input[a]) return;
  }
  const bool any = std::any_of(output_padding.begin(), output_padding.end(), [](int64_t v) { return v != 0; });
  notes.push_back(any ? fmt::format("{} with these settings needs output_padding={} to return to {}", back.name(),
                                    sizes_option(output_padding), target)
                      : fmt::format("{} with these settings returns to {}", back.name(), target));
}

// "kernel 3 is larger than the padded input 2".
std::string complaint(const LayerQuestion& question, size_t a, const ShapeError& error) {
  const Axis& axis = question.axes[a];
  const std::string dilated = axis.dilation > 1 ? fmt::format(" with dilation {} spans {}, which", axis.dilation,
                                                              axis.dilation * (axis.kernel_size - 1) + 1)
                                                : "";
  switch (error.code) {
    case ShapeErrorCode::kKernelTooLarge:
      return fmt::format("kernel {}{} is larger than the padded input {}", axis.kernel_size, dilated, error.limit);
    case ShapeErrorCode::kOutputTooSmall:
      if (!question.transposed() && question.input[a] + axis.pad_begin + axis.pad_end <= axis.dilation * (axis.kernel_size - 1)) {
        return fmt::format("kernel {}{} is larger than the padded input {}", axis.kernel_size, dilated,
                           question.input[a] + axis.pad_begin + axis.pad_end);
      }
      return fmt::format("the output would have size {}", error.value);
    case ShapeErrorCode::kPaddingTooLarge:
      return fmt::format("pad should be at most half of kernel size, but got pad={} and kernel_size={}", error.value,
                         axis.kernel_size);
    case ShapeErrorCode::kOutputPaddingTooLarge:
      return fmt::format("output padding must be smaller than either stride or dilation, but got {} with stride {} and dilation {}",
                         error.value, axis.stride, axis.dilation);
    case ShapeErrorCode::kNonPositiveKernel:
      return fmt::format("kernel size must be at least 1, but is {}", error.value);
    case ShapeErrorCode::kNonPositiveStride:
      return fmt::format("stride must be at least 1, but is {}", error.value);
    case ShapeErrorCode::kNonPositiveDilation:
      return fmt::format("dilation counts from 1 (no holes), but is {}", error.value);
    case ShapeErrorCode::kNegativePadding:
      return fmt::format("padding must not be negative, but is {}", error.value);
    case ShapeErrorCode::kNegativeOutputPadding:
      return fmt::format("output padding must not be negative, but is {}", error.value);
    case ShapeErrorCode::kNegativeInput:
      return fmt::format("the input size must not be negative, but is {}", error.value);
    default:
      return std::string(shape::reason(error.code));
  }
}

std::string option_text(const LayerQuestion& question, Parameter parameter, const std::vector<int64_t>& values) {
  switch (parameter) {
    case Parameter::kInput:
      return "-i " + sizes_option(values);
    case Parameter::kKernelSize:
      return "-k " + sizes_option(values);
    case Parameter::kStride:
      return "-s " + sizes_option(values);
    case Parameter::kDilation:
      return "-d " + sizes_option(values);
    case Parameter::kOutputPadding:
      return "-a " + sizes_option(values);
    case Parameter::kPadding:
      break;
  }
  std::vector<int64_t> sides;  // every side by itself where the two of an axis differ
  bool even = true;
  for (size_t i = 0; i < values.size(); ++i) {
    const Axis& axis = question.axes[first_axis(question) + i];
    sides.insert(sides.end(), {values[i], values[i] + axis.pad_end - axis.pad_begin});
    even = even && axis.pad_begin == axis.pad_end;
  }
  return "-p " + (even ? sizes_option(values) : fmt::format("{}", fmt::join(sides, ",")));
}

int64_t value_of(const LayerQuestion& question, Parameter parameter, size_t a) {
  switch (parameter) {
    case Parameter::kInput:
      return question.input[a];
    case Parameter::kKernelSize:
      return question.axes[a].kernel_size;
    case Parameter::kStride:
      return question.axes[a].stride;
    case Parameter::kPadding:
      return question.axes[a].pad_begin;
    case Parameter::kDilation:
      return question.axes[a].dilation;
    case Parameter::kOutputPadding:
      return question.output_padding[a];
  }
  return 0;
}

void set_value(LayerQuestion& question, Parameter parameter, size_t a, int64_t value) {
  if (parameter == Parameter::kInput) question.input[a] = value;
  if (parameter == Parameter::kOutputPadding) question.output_padding[a] = value;
  question.axes[a] = shape::detail::with(question.axes[a], parameter, value);
}

// The changes that mend every failing axis at once: "-p 1  (output 2×2)      or  -i 3  (output 1×1)".
std::string smallest_changes(const LayerQuestion& question, const std::vector<size_t>& failing) {
  std::vector<std::string> ways;
  const shape::Remedies of_the_first = question.remedies(failing.front());
  for (const Remedy& remedy : of_the_first) {
    LayerQuestion mended = question;
    bool all = true;
    for (const size_t a : failing) {
      const shape::Remedies remedies = question.remedies(a);
      const Remedy* same =
          std::find_if(remedies.begin(), remedies.end(), [&](const Remedy& r) { return r.parameter == remedy.parameter; });
      all = all && same != remedies.end();
      if (all) set_value(mended, remedy.parameter, a, same->value);
    }
    if (!all) continue;
    std::vector<int64_t> values, output;
    for (size_t a = first_axis(question); a < kAxes; ++a) {
      const shape::Result<int64_t> size = mended.output_size(a);
      if (!size) break;
      values.push_back(value_of(mended, remedy.parameter, a));
      output.push_back(*size);
    }
    if (output.size() != static_cast<size_t>(question.rank)) continue;
    ways.push_back(fmt::format("{}  (output {})", option_text(mended, remedy.parameter, values), sizes_text(output)));
  }
  if (ways.empty()) return "no single change is enough: look at the other numbers too";
  return "smallest change that works:  " + report::joined(ways, "      or  ");
}

// ---- Ways to a wanted output --------------------------------------------------------------------------------------------------

shape::Result<Range> one_value(const shape::Result<int64_t>& value) {
  if (!value) return value.error();
  return Range{*value, *value + 1};
}

// All values of one parameter that give `wanted` along an axis.
shape::Result<Range> values_for(const LayerQuestion& question, Parameter parameter, size_t a, int64_t wanted) {
  const Axis& axis = question.axes[a];
  const int64_t n = question.input[a];
  constexpr ShapeError kNone{ShapeErrorCode::kNoSolution};
  if (question.transposed()) {
    if (parameter == Parameter::kInput)
      return one_value(shape::transposed_input_for_output(wanted, axis, question.output_padding[a]));
    if (parameter == Parameter::kOutputPadding) return one_value(shape::output_padding_for_output(n, wanted, axis));
    // The size falls by 2 with each cell of padding and grows by the stride with each tap: at most one value each.
    for (int64_t v = parameter == Parameter::kPadding ? 0 : 1; v <= 4096; ++v) {
      LayerQuestion tried = question;
      set_value(tried, parameter, a, v);
      const shape::Result<int64_t> size = tried.output_size(a);
      if (size && *size == wanted) return Range{v, v + 1};
    }
    return kNone;
  }
  if (parameter == Parameter::kOutputPadding) return kNone;
  if (parameter == Parameter::kInput) {
    return question.pools() ? shape::pool_inputs_for_output(wanted, axis, question.ceil_mode)
                            : shape::inputs_for_output(wanted, axis);
  }
  if (!question.pools()) {
    switch (parameter) {
      case Parameter::kKernelSize:
        return shape::kernel_size_for_output(n, wanted, axis);
      case Parameter::kStride:
        return shape::stride_for_output(n, wanted, axis);
      case Parameter::kPadding:
        return shape::padding_for_output(n, wanted, axis);
      case Parameter::kDilation:
        return axis.kernel_size == 1 ? kNone : shape::dilation_for_output(n, wanted, axis);
      default:
        return kNone;
    }
  }
  // Pooling sizes fall as the parameter grows (padding: rise) but its own limits cut in: look at each value in turn.
  Range range{0, 0};
  for (int64_t v = parameter == Parameter::kPadding ? 0 : 1; v <= 4096; ++v) {
    LayerQuestion tried = question;
    set_value(tried, parameter, a, v);
    const shape::Result<int64_t> size = tried.output_size(a);
    if (!size || *size != wanted) continue;
    if (range.empty()) range.begin = v;
    if (!range.empty() && range.end != v) break;
    range.end = v + 1;
  }
  if (range.empty()) return kNone;
  return range;
}

void find_change(const LayerQuestion& question, Parameter parameter, const std::vector<int64_t>& wanted, Ways& ways) {
  Change change{parameter, "", {}};
  std::vector<int64_t> values;
  bool changes = false;
  for (size_t a = first_axis(question); a < kAxes; ++a) {
    const shape::Result<Range> range = values_for(question, parameter, a, wanted[a - first_axis(question)]);
    if (!range) return;
    const int64_t now = value_of(question, parameter, a);
    values.push_back(std::clamp(now, range->begin, range->end - 1));
    changes = changes || values.back() != now;
    change.values.push_back(*range);
  }
  if (!changes) return;
  if (parameter == Parameter::kPadding && !question.transposed()) {  // found for equal sides
    change.option = "-p " + sizes_option(values);
  } else {
    change.option = option_text(question, parameter, values);
  }
  ways.changes.push_back(std::move(change));
}

// The smallest padding (and output padding) that goes with a stride along an axis; false if there is none.
bool padding_with(const LayerQuestion& question, int64_t stride, size_t a, int64_t wanted, int64_t* padding,
                  int64_t* output_padding) {
  LayerQuestion tried = question;
  Axis& axis = tried.axes[a];
  axis.stride = stride;
  const int64_t span = axis.dilation * (axis.kernel_size - 1) + 1;
  const int64_t most = question.pools() ? shape::pool_padding_limit(axis.kernel_size) : span - 1;
  for (int64_t p = 0; p <= std::min<int64_t>(most, 4096); ++p) {
    axis.pad_begin = axis.pad_end = p;
    tried.output_padding[a] = 0;
    if (question.transposed()) {
      const shape::Result<int64_t> needed = shape::output_padding_for_output(tried.input[a], wanted, axis);
      if (!needed) continue;
      tried.output_padding[a] = *needed;
    }
    const shape::Result<int64_t> size = tried.output_size(a);
    if (!size || *size != wanted) continue;
    *padding = p;
    *output_padding = tried.output_padding[a];
    return true;
  }
  return false;
}

void find_pairs(const LayerQuestion& question, const std::vector<int64_t>& wanted, Ways& ways) {
  constexpr int64_t kStrides = 256;
  constexpr size_t kMost = 6;
  for (int64_t stride = 1; stride <= kStrides; ++stride) {
    StridePadding pair;
    for (size_t a = first_axis(question); a < kAxes; ++a) {
      int64_t padding = 0, output_padding = 0;
      if (!padding_with(question, stride, a, wanted[a - first_axis(question)], &padding, &output_padding)) break;
      pair.padding.push_back(padding);
      pair.output_padding.push_back(output_padding);
    }
    if (pair.padding.size() != static_cast<size_t>(question.rank)) continue;
    if (!ways.pairs.empty() && ways.pairs.back().last_stride == stride - 1 && ways.pairs.back().padding == pair.padding &&
        ways.pairs.back().output_padding == pair.output_padding) {
      ways.pairs.back().last_stride = stride;
      continue;
    }
    if (ways.pairs.size() == kMost) break;
    pair.first_stride = pair.last_stride = stride;
    ways.pairs.push_back(std::move(pair));
  }
}

}  // namespace

std::string formula(const LayerQuestion& question, size_t a) {
  const Axis& axis = question.axes[a];
  const int64_t n = question.input[a], s = axis.stride, o = *question.output_size(a);
  const std::string reach = fmt::format("{}·({}−1)", axis.dilation, axis.kernel_size);
  if (question.transposed()) {
    return fmt::format("({} − 1)·{} − {} + {} + {} + 1 = {}", n, s, padding_term(axis), reach, question.output_padding[a], o);
  }
  const int64_t room = n + axis.pad_begin + axis.pad_end - axis.dilation * (axis.kernel_size - 1) - 1;
  const bool ceil = question.pools() && question.ceil_mode;
  const char *open = ceil ? "⌈" : "⌊", *close = ceil ? "⌉" : "⌋";
  std::string text = fmt::format("{}({} + {} − {} − 1)/{}{} + 1", open, n, padding_term(axis), reach, s, close);
  if (s > 1) text += fmt::format(" = {}{}/{}{} + 1", open, room, s, close);
  const int64_t naive = (ceil ? shape::ceil_div(room, s) : shape::floor_div(room, s)) + 1;
  text += fmt::format(" = {}", naive);
  if (naive != o) {
    text += fmt::format(", less the last window, which would start at {} behind the input's end: {}",
                        (naive - 1) * s - axis.pad_begin, o);
  }
  return text;
}

std::vector<std::string> notes(const LayerQuestion& question, const shape::Spatial& output) {
  std::vector<std::string> result;
  const std::vector<std::vector<size_t>> groups = question.equal_axes();
  for (const std::vector<size_t>& axes : groups) {
    const size_t a = axes.front();
    const Axis& axis = question.axes[a];
    const std::string where = groups.size() > 1 ? " (" + question.axis_names(axes) + ")" : "";
    const int64_t span = axis.dilation * (axis.kernel_size - 1) + 1;
    if (question.transposed()) {
      note_stamps(question, axes, result);
    } else {
      note_unread(question, axes, result);
      note_gaps(question, axes, result);
    }
    if (axis.dilation > 1 && axis.kernel_size > 1) {
      result.push_back(fmt::format("a kernel of {} with dilation {} spans {}{}", axis.kernel_size, axis.dilation, span, where));
    }
    if (axis.pad_begin != axis.pad_end) {
      result.push_back(fmt::format("padding {} in front and {} behind{}", axis.pad_begin, axis.pad_end, where));
    }
    if (question.family == LayerFamily::kConv && std::max(axis.pad_begin, axis.pad_end) >= span) {
      result.push_back(fmt::format("outputs at the border see padding only: they are the bias alone{}", where));
    }
    if (question.pools()) {
      LayerQuestion other = question;
      other.ceil_mode = !question.ceil_mode;
      const shape::Result<int64_t> size = other.output_size(a);
      if (size && *size != output[a]) {
        result.push_back(fmt::format("{} ceil_mode the output is {}{}", other.ceil_mode ? "with" : "without", *size, where));
      }
    }
  }
  note_way_back(question, output, result);
  if (!question.pools() && question.groups > 1 && question.in_channels == question.groups) {
    result.push_back("depthwise: no output sees more than one input channel");
  }
  return result;
}

void check_possible(const LayerQuestion& question) {
  std::vector<size_t> failing;
  ShapeError first;
  for (size_t a = first_axis(question); a < kAxes; ++a) {
    const shape::Result<int64_t> size = question.output_size(a);
    if (size) continue;
    if (failing.empty()) first = size.error();
    failing.push_back(a);
  }
  if (!failing.empty()) {
    std::vector<size_t> alike;  // axes with the same complaint
    const std::string reason = complaint(question, failing.front(), first);
    for (const size_t a : failing) {
      if (complaint(question, a, question.output_size(a).error()) == reason) alike.push_back(a);
    }
    const std::string where = question.rank == 1 ? "" : " (" + question.axis_names(alike) + ")";
    throw ShapeMismatch(reason + where,
                        first.code == ShapeErrorCode::kOverflow ? "use smaller sizes" : smallest_changes(question, failing));
  }
  if (question.groups < 1) {
    throw ShapeMismatch(fmt::format("groups must be at least 1, but is {}", question.groups),
                        "use 1, or in_channels for a depthwise convolution");
  }
  const auto divisible = [&](const std::optional<int64_t>& channels, const char* name) {
    if (!channels || *channels % question.groups == 0) return;
    // The nearest divisors below and above; far from any, 1 and the channels themselves.
    constexpr int64_t kFar = 100000;
    const int64_t nearby = std::min(question.groups, *channels);
    int64_t below = nearby, above = nearby;
    while (nearby - below < kFar && *channels % below != 0) --below;
    while (above - nearby < kFar && above < *channels && *channels % above != 0) ++above;
    if (*channels % below != 0) below = 1;
    if (*channels % above != 0) above = *channels;
    throw ShapeMismatch(fmt::format("{} must be divisible by groups", name),
                        fmt::format("{} is {}, groups is {}: use {}-g {}", name, *channels, question.groups,
                                    above > below ? fmt::format("-g {} or ", below) : "", above));
  };
  divisible(question.in_channels, "in_channels");
  divisible(question.out_channels, "out_channels");
}

Ways find_ways(const LayerQuestion& question, const std::vector<int64_t>& wanted, bool with_input) {
  Ways ways;
  if (!with_input) {
    LayerQuestion any = question;  // an input that no answer has, so that every answer is a change
    any.input.fill(-1);
    find_change(any, Parameter::kInput, wanted, ways);
    return ways;
  }
  for (const Parameter parameter : {Parameter::kStride, Parameter::kPadding, Parameter::kOutputPadding, Parameter::kKernelSize,
                                    Parameter::kDilation, Parameter::kInput}) {
    if (question.family == LayerFamily::kAvgPool && parameter == Parameter::kDilation) continue;
    find_change(question, parameter, wanted, ways);
  }
  find_pairs(question, wanted, ways);
  if (question.family == LayerFamily::kConv) {
    std::optional<int64_t> layers;
    for (size_t a = first_axis(question); a < kAxes; ++a) {
      const int64_t target = wanted[a - first_axis(question)];
      const shape::Result<shape::LayerCount> count = shape::layers_to_shrink(question.input[a], target, question.axes[a]);
      if (!count || count->size != target || count->layers < 2 || (layers && *layers != count->layers)) return ways;
      layers = count->layers;
    }
    ways.layers_in_row = layers;
  }
  return ways;
}

}  // namespace convoy::cli
