// convoy shape LAYER -i 224 -k 7 -s 2 -p 3 [--output 56]
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "cli/command.h"
#include "cli/layer_answer.h"
#include "convoy/report/format.h"
#include "convoy/report/table.h"
#include "convoy/shape/cost.h"

namespace convoy::cli {

namespace {

using shape::ConvShape;
using shape::Spatial;

struct Options {
  LayerWords words;
  std::optional<std::string> output;
};

void declare(CLI::App& app, Options& options) {
  LayerWords& w = options.words;
  add_text(app, "-i,--input", w.input, "SIZE", "input size: one number, or one per axis as in 224x112");
  add_text(app, "-k,--kernel-size", w.kernel_size, "SIZE", "window size");
  add_text(app, "-s,--stride", w.stride, "SIZE", "step of the window (1; pooling: the kernel size)");
  add_text(app, "-p,--padding", w.padding, "SIZE",
           "cells added on each side (0); or t,b,l,r for every side of an image; or same, valid, full or half");
  add_text(app, "-d,--dilation", w.dilation, "SIZE", "distance between the taps of the kernel (1: no holes)");
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  add_integer(app, "-g,--groups", w.groups, -kMost, kMost, "groups of channels that do not see each other (1)");
  add_text(app, "-a,--output-padding", w.output_padding, "SIZE", "cells added at the end of a transposed convolution's output (0)");
  add_integer(app, "--in,--in-channels", w.in_channels, 0, kMost, "input channels; with them parameters and MACs are counted");
  add_integer(app, "--out,--out-channels", w.out_channels, 0, kMost, "output channels (as many as --in)");
  add_integer(app, "-n,--batch", w.batch, 0, kMost, "samples in a batch (1)");
  app.add_flag("--ceil-mode", w.ceil_mode, "let the last pooling window hang over the end");
  add_text(app, "--output", options.output, "SIZE",
           "ask the other way round: which stride, padding, kernel or input gives this output size");
  app.add_option("LAYER", w.layer);
}

std::vector<int64_t> spatial(const LayerQuestion& question, const Spatial& sizes) {
  return {sizes.begin() + question.first_axis(), sizes.end()};
}

// "[1, 3, 224, 224]", or "224×224" if the channels are not known.
std::string shape_text(const LayerQuestion& question, const std::optional<int64_t>& channels, const Spatial& sizes) {
  if (!channels) return sizes_text(spatial(question, sizes));
  return fmt::format("[{}, {}, {}]", question.batch, *channels, fmt::join(spatial(question, sizes), ", "));
}

report::Json shape_json(const LayerQuestion& question, const std::optional<int64_t>& channels, const Spatial& sizes) {
  report::Json json = report::Json::array();
  if (channels) json.push(question.batch).push(*channels);
  for (const int64_t n : spatial(question, sizes)) json.push(n);
  return json;
}

// The layer with all counts checked; channels that are not known count as one per group.
ConvShape counted(const LayerQuestion& question) {
  ConvShape s;
  s.rank = question.rank;
  s.transposed = question.transposed();
  s.batch = question.in_channels ? question.batch : 1;
  s.groups = question.pools() ? std::max<int64_t>(question.in_channels.value_or(1), 1) : question.groups;
  s.in_channels = question.in_channels.value_or(s.groups);
  s.out_channels = question.pools() ? s.in_channels : question.out_channels.value_or(s.groups);
  s.input = question.input;
  s.axes = question.axes;
  s.output_padding = question.output_padding;
  if (question.pools() && question.ceil_mode) {  // what hangs over the end, as if it were padding
    for (auto a = static_cast<size_t>(question.first_axis()); a < shape::kMaxSpatialRank; ++a) {
      const shape::Axis& axis = s.axes[a];
      const int64_t used = (*question.output_size(a) - 1) * axis.stride + axis.dilation * (axis.kernel_size - 1) + 1;
      s.axes[a].pad_end = used - question.input[a] - axis.pad_begin;
    }
  }
  const shape::Result<ConvShape> whole = shape::complete(s);
  if (!whole) throw ShapeMismatch(std::string(shape::reason(whole.error().code)), "use smaller sizes");
  return *whole;
}

const char* sample_name(int rank) { return rank == 1 ? "sample" : rank == 2 ? "image" : "volume"; }

std::string receptive_field(const LayerQuestion& question) {
  std::vector<int64_t> sizes;
  for (auto a = static_cast<size_t>(question.first_axis()); a < shape::kMaxSpatialRank; ++a) {
    const shape::ChainLayer layer = question.chain_layer(a);
    const auto field = shape::receptive_field({&layer, 1});
    if (!field) throw ShapeMismatch(std::string(shape::reason(field.error().code)), "use smaller sizes");
    sizes.push_back(field->size);
  }
  return (question.transposed() ? "at most " : "") +
         (sizes_option(sizes) == std::to_string(sizes[0]) ? std::to_string(sizes[0]) : sizes_text(sizes));
}

int answer(const LayerQuestion& question, Session& session) {
  check_possible(question);
  const ConvShape layer = counted(question);
  const shape::Result<int64_t> macs = [&] {
    ConvShape one = layer;
    one.batch = 1;
    return shape::macs(one);
  }();
  const std::vector<std::string> remarks = notes(question, layer.output);
  const std::vector<std::vector<size_t>> groups = question.equal_axes();
  const std::optional<int64_t> out_channels = question.pools() ? question.in_channels : question.out_channels;

  std::string text = fmt::format("input  {}  →  output {}", shape_text(question, question.in_channels, question.input),
                                 session.style().bold(shape_text(question, out_channels, layer.output)));
  if (groups.size() == 1) text += "     " + formula(question, groups[0].front());
  text += "\n";
  if (groups.size() > 1) {
    size_t width = 0;
    for (const std::vector<size_t>& axes : groups) width = std::max(width, question.axis_names(axes).size());
    for (const std::vector<size_t>& axes : groups) {
      text += fmt::format("{:<{}}  {}\n", question.axis_names(axes), width, formula(question, axes.front()));
    }
  }
  std::vector<std::string> facts;
  if (question.in_channels && !question.pools()) {
    facts.push_back(fmt::format("parameters {} (no bias), {} with bias", report::grouped(shape::parameters(layer, false)),
                                report::grouped(shape::parameters(layer, true))));
    facts.push_back(macs ? fmt::format("MACs {} per {}", report::grouped(*macs), sample_name(question.rank))
                         : "MACs beyond what 64 bits count");
  }
  facts.push_back("receptive field " + receptive_field(question));
  text += report::joined(facts, " · ") + "\n";
  for (size_t i = 0; i < remarks.size(); ++i) text += (i == 0 ? session.style().cyan("note:") + " " : "      ") + remarks[i] + "\n";
  session.print(text);

  report::Json document = report::Json::object({{"schema", "convoy.shape/1"}, {"layer", question.name()}});
  document.set("input", shape_json(question, question.in_channels, question.input));
  document.set("output", shape_json(question, out_channels, layer.output));
  report::Json axes = report::Json::array();
  for (auto a = static_cast<size_t>(question.first_axis()); a < shape::kMaxSpatialRank; ++a) {
    const shape::Axis& axis = question.axes[a];
    report::Json row =
        report::Json::object({{"axis", question.axis_name(a)}, {"input", question.input[a]}, {"kernel_size", axis.kernel_size}});
    row.set("stride", axis.stride)
        .set("padding", report::Json::array({axis.pad_begin, axis.pad_end}))
        .set("dilation", axis.dilation);
    if (question.transposed()) row.set("output_padding", question.output_padding[a]);
    row.set("output", layer.output[a]).set("formula", formula(question, a));
    if (question.family == LayerFamily::kConv) {
      row.set("unread_cells", *shape::unread_tail(question.input[a], axis));
      row.set("returning_output_padding", *shape::returning_output_padding(question.input[a], axis));
    }
    const shape::ChainLayer alone = question.chain_layer(a);
    row.set("receptive_field", shape::receptive_field({&alone, 1})->size);
    axes.push(row);
  }
  document.set("axes", axes);
  if (question.in_channels) {
    document.set("parameters", question.pools() ? 0 : shape::parameters(layer, false));
    document.set("parameters_with_bias", question.pools() ? 0 : shape::parameters(layer, true));
    if (!question.pools()) document.set("macs_per_sample", macs ? report::Json(*macs) : report::Json());
  }
  document.set("notes", report::Json::array_of(remarks));
  session.document(document);
  return kOk;
}

// "3", "3 to 5", "3 or more".
std::string range_text(const std::vector<shape::Range>& values) {
  std::vector<std::string> texts;
  for (const shape::Range& range : values) {
    texts.push_back(range.end == shape::kUnlimited ? fmt::format("{} or more", range.begin)
                    : range.size() == 1            ? fmt::format("{}", range.begin)
                                                   : fmt::format("{} to {}", range.begin, range.end - 1));
  }
  const bool one = std::all_of(texts.begin(), texts.end(), [&](const std::string& t) { return t == texts[0]; });
  return one ? texts[0] : report::joined(texts, " × ");
}

report::Json ranges_json(const std::vector<shape::Range>& values) {
  report::Json json = report::Json::array();
  for (const shape::Range& range : values) {
    json.push(report::Json::array({range.begin, range.end == shape::kUnlimited ? report::Json() : report::Json(range.end - 1)}));
  }
  return json;
}

// What the settings as given lead to; empty if nothing.
std::vector<int64_t> as_given(const LayerQuestion& question) {
  std::vector<int64_t> sizes;
  for (auto a = static_cast<size_t>(question.first_axis()); a < shape::kMaxSpatialRank; ++a) {
    const shape::Result<int64_t> size = question.output_size(a);
    if (!size) return {};
    sizes.push_back(*size);
  }
  return sizes;
}

int solve(const LayerQuestion& question, bool with_input, const std::vector<int64_t>& wanted, Session& session) {
  const Ways ways = find_ways(question, wanted, with_input);
  const std::vector<int64_t> given = with_input ? as_given(question) : std::vector<int64_t>();
  const std::string target = sizes_text(wanted);
  if (ways.changes.empty() && ways.pairs.empty() && given != wanted) {
    throw ShapeMismatch(
        fmt::format("{} cannot give {} from {}", question.name(), target,
                    with_input ? sizes_text(spatial(question, question.input)) : "any input"),
        given.empty() ? "try another kernel size" : fmt::format("the settings as given lead to {}", sizes_text(given)));
  }
  std::string text;
  if (with_input) {
    text = fmt::format("{} from {} to {}\n", question.name(), sizes_text(spatial(question, question.input)),
                       session.style().bold(target));
    text += given == wanted ? "as given: these settings do it\n"
            : given.empty() ? "as given: these settings are not possible\n"
                            : fmt::format("as given: output {}\n", sizes_text(given));
  } else {
    text = fmt::format("{} to {}\n", question.name(), session.style().bold(target));
  }
  if (!ways.changes.empty()) {
    report::Table table({{with_input ? "one change" : "input"}, {"values that do it"}});
    for (const Change& change : ways.changes)
      table.add_row({change.option, fmt::format("{} {}", shape::parameter_name(change.parameter), range_text(change.values))});
    text += table.text(session.style());
  }
  if (!ways.pairs.empty()) {
    report::Table table({{"stride and padding"}, {"strides that do it"}});
    for (const StridePadding& pair : ways.pairs) {
      table.add_row({fmt::format("-s {} -p {}{}", pair.first_stride, sizes_option(pair.padding),
                                 question.transposed() ? " -a " + sizes_option(pair.output_padding) : ""),
                     range_text({shape::Range{pair.first_stride, pair.last_stride + 1}})});
    }
    text += table.text(session.style());
  }
  if (ways.layers_in_row)
    text += fmt::format("{} such layers in a row lead to {} as well\n", report::grouped(*ways.layers_in_row), target);
  session.print(text);

  report::Json document = report::Json::object({{"schema", "convoy.shape_for_output/1"}, {"layer", question.name()}});
  document.set("input", with_input ? report::Json::array_of(spatial(question, question.input)) : report::Json());
  document.set("wanted", report::Json::array_of(wanted));
  document.set("as_given", given.empty() ? report::Json() : report::Json::array_of(given));
  report::Json changes = report::Json::array(), pairs = report::Json::array();
  for (const Change& change : ways.changes) {
    changes.push(report::Json::object({{"parameter", shape::parameter_name(change.parameter)},
                                       {"option", change.option},
                                       {"values", ranges_json(change.values)}}));
  }
  for (const StridePadding& pair : ways.pairs) {
    report::Json row = report::Json::object({{"strides", report::Json::array({pair.first_stride, pair.last_stride})},
                                             {"padding", report::Json::array_of(pair.padding)}});
    if (question.transposed()) row.set("output_padding", report::Json::array_of(pair.output_padding));
    pairs.push(row);
  }
  document.set("changes", changes).set("stride_and_padding", pairs);
  document.set("layers_in_a_row", ways.layers_in_row ? report::Json(*ways.layers_in_row) : report::Json());
  session.document(document);
  return kOk;
}

int run(const Options& options, Session& session) {
  if (options.words.layer.empty()) {
    throw UsageError("'convoy shape' needs a layer", "for example convoy shape conv2d -i 224 -k 7 -s 2 -p 3");
  }
  const LayerQuestion question = read_question(options.words);
  if (options.output) {
    return solve(question, options.words.input.has_value(), read_sizes("--output", *options.output, question.rank), session);
  }
  if (!options.words.input) {
    throw UsageError("the input size is missing",
                     fmt::format("for example convoy shape {} -i 224 -k {}", question.name(), *options.words.kernel_size));
  }
  return answer(question, session);
}

}  // namespace

Command shape_command() {
  return make_command<Options>(
      {.name = "shape",
       .arguments = "LAYER",
       .summary = "the size behind a layer, why, and what it costs; or which settings give a size",
       .examples = {"convoy shape conv2d -i 224 -k 7 -s 2 -p 3 --in 3 --out 64",
                    "convoy shape max_pool2d -i 112 -k 3 -s 2 -p 1 --ceil-mode",
                    "convoy shape conv_transpose2d -i 16 -k 3 -s 2 -p 1 -a 1", "convoy shape conv2d -i 224 -k 5 --output 4"}},
      declare, run);
}

}  // namespace convoy::cli
