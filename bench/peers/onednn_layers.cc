// Times one convolution layer with oneDNN, for compare_layers.py: onednn_layers DIRECTION SECONDS "DESCRIPTOR"
//
// Prints two times in milliseconds: with tensors in the layout that oneDNN chooses (reorders not counted), and with NCHW tensors in
// and out (its reorders of activations counted, weights in its layout where they are an input). 0 where oneDNN has no such kernel.
// Minimum over about SECONDS each, threads as OMP_NUM_THREADS says.
#include <dnnl.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "convoy/shape/descriptor.h"

namespace {

using convoy::shape::ConvShape;
using dnnl::memory;
using Clock = std::chrono::steady_clock;

struct Step {
  dnnl::primitive primitive;
  std::unordered_map<int, memory> arguments;
};

memory filled(const memory::desc& desc, const dnnl::engine& engine) {
  memory result(desc, engine);
  auto* values = static_cast<float*>(result.get_data_handle());
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  for (size_t i = 0; i < desc.get_size() / sizeof(float); ++i) values[i] = normal(random);
  return result;
}

double milliseconds(const std::vector<Step>& steps, dnnl::stream& stream, double seconds) {
  const auto run = [&] {
    for (const Step& step : steps) step.primitive.execute(stream, step.arguments);
    stream.wait();
  };
  run();
  double best = 1e30;
  const auto begin = Clock::now();
  int runs = 0;
  while (runs < 5 || std::chrono::duration<double>(Clock::now() - begin).count() < seconds) {
    const auto start = Clock::now();
    run();
    best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
    ++runs;
  }
  return best * 1e3;
}

struct Layer {
  memory::dims source, weights, destination, strides, dilates, pad_begin, pad_end;
  bool transposed;
  memory::format_tag plain, plain_weights;
};

Layer describe(const ConvShape& s) {
  Layer l;
  l.transposed = s.transposed;
  l.source = {s.batch, s.in_channels};
  l.destination = {s.batch, s.out_channels};
  if (s.groups > 1) l.weights = {s.groups};
  l.weights.push_back(s.out_channels / s.groups);
  l.weights.push_back(s.in_channels / s.groups);
  for (int a = s.first_axis(); a < 3; ++a) {
    const auto& axis = s.axes[static_cast<size_t>(a)];
    l.source.push_back(s.input[static_cast<size_t>(a)]);
    l.destination.push_back(s.output[static_cast<size_t>(a)]);
    l.weights.push_back(axis.kernel_size);
    l.strides.push_back(axis.stride);
    l.dilates.push_back(axis.dilation - 1);  // oneDNN counts from 0
    l.pad_begin.push_back(axis.pad_begin);
    // What the output needs, which may be less than the layer's padding.
    const int64_t i = l.source.back(), o = l.destination.back(), span = (axis.kernel_size - 1) * axis.dilation + 1;
    l.pad_end.push_back((s.transposed ? (i - 1) * axis.stride + span - o : (o - 1) * axis.stride + span - i) - axis.pad_begin);
  }
  using Tag = memory::format_tag;
  l.plain = s.rank == 1 ? Tag::ncw : s.rank == 2 ? Tag::nchw : Tag::ncdhw;
  l.plain_weights = s.groups > 1 ? (s.rank == 1   ? Tag::goiw
                                    : s.rank == 2 ? Tag::goihw
                                                  : Tag::goidhw)
                                 : (s.rank == 1   ? Tag::oiw
                                    : s.rank == 2 ? Tag::oihw
                                                  : Tag::oidhw);
  return l;
}

// The primitive descriptors of convolutions and deconvolutions have the same members.
template <class Forward, class GradInput, class GradWeight>
double time_layer(const Layer& l, const std::string& direction, bool blocked, double seconds) {
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  dnnl::stream stream(engine);
  const auto desc = [&](const memory::dims& dims, memory::format_tag tag) {
    return memory::desc(dims, memory::data_type::f32, tag);
  };
  const auto any = memory::format_tag::any;
  const memory::desc source = desc(l.source, any), weights = desc(l.weights, any), destination = desc(l.destination, any);
  const memory::desc plain_source = desc(l.source, l.plain), plain_weights = desc(l.weights, l.plain_weights),
                     plain_destination = desc(l.destination, l.plain);
  constexpr auto direct = dnnl::algorithm::convolution_direct;
  constexpr auto direct_transposed = dnnl::algorithm::deconvolution_direct;
  const auto algorithm = l.transposed ? direct_transposed : direct;
  std::vector<Step> steps;
  const auto add = [&](const dnnl::primitive& p, std::unordered_map<int, memory> arguments) {
    steps.push_back({p, std::move(arguments)});
  };
  // An argument in the layout the primitive wants; NCHW callers pay for the reorder.
  const auto input = [&](const memory::desc& wanted, const memory::desc& plain) {
    memory target = filled(wanted, engine);
    if (!blocked && wanted != plain) {
      memory from = filled(plain, engine);
      add(dnnl::reorder(from, target), {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, target}});
    }
    return target;
  };
  const auto output = [&](const memory& value, const memory::desc& plain) {
    if (blocked || value.get_desc() == plain) return;
    memory to = filled(plain, engine);
    add(dnnl::reorder(value, to), {{DNNL_ARG_FROM, value}, {DNNL_ARG_TO, to}});
  };
  const typename Forward::primitive_desc forward(
      typename Forward::desc(dnnl::prop_kind::forward_training, algorithm, source, weights, destination, l.strides, l.dilates,
                             l.pad_begin, l.pad_end),
      engine);
  if (direction == "forward") {
    const memory x = input(forward.src_desc(), plain_source), w = filled(forward.weights_desc(), engine),
                 y = filled(forward.dst_desc(), engine);
    add(Forward(forward), {{DNNL_ARG_SRC, x}, {DNNL_ARG_WEIGHTS, w}, {DNNL_ARG_DST, y}});
    output(y, plain_destination);
  } else if (direction == "grad_input") {
    const typename GradInput::primitive_desc backward(
        typename GradInput::desc(algorithm, source, weights, destination, l.strides, l.dilates, l.pad_begin, l.pad_end), engine,
        forward);
    const memory y = input(backward.diff_dst_desc(), plain_destination), w = filled(backward.weights_desc(), engine),
                 x = filled(backward.diff_src_desc(), engine);
    add(GradInput(backward), {{DNNL_ARG_DIFF_DST, y}, {DNNL_ARG_WEIGHTS, w}, {DNNL_ARG_DIFF_SRC, x}});
    output(x, plain_source);
  } else {
    const typename GradWeight::primitive_desc backward(
        typename GradWeight::desc(algorithm, source, weights, destination, l.strides, l.dilates, l.pad_begin, l.pad_end), engine,
        forward);
    const memory x = input(backward.src_desc(), plain_source), y = input(backward.diff_dst_desc(), plain_destination),
                 w = filled(backward.diff_weights_desc(), engine);
    add(GradWeight(backward), {{DNNL_ARG_SRC, x}, {DNNL_ARG_DIFF_DST, y}, {DNNL_ARG_DIFF_WEIGHTS, w}});
    output(w, plain_weights);
  }
  return milliseconds(steps, stream, seconds);
}

double time_or_zero(const Layer& l, const std::string& direction, bool blocked, double seconds) try {
  if (l.transposed) {
    return time_layer<dnnl::deconvolution_forward, dnnl::deconvolution_backward_data, dnnl::deconvolution_backward_weights>(
        l, direction, blocked, seconds);
  }
  return time_layer<dnnl::convolution_forward, dnnl::convolution_backward_data, dnnl::convolution_backward_weights>(
      l, direction, blocked, seconds);
} catch (const dnnl::error&) {
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: onednn_layers forward|grad_input|grad_weight SECONDS \"DESCRIPTOR\"\n");
    return 2;
  }
  const auto layer = convoy::shape::parse_descriptor(argv[3]);
  if (!layer) {
    std::fprintf(stderr, "onednn_layers: '%s' is not a layer\n", argv[3]);
    return 2;
  }
  const Layer described = describe(*layer);
  const double seconds = std::atof(argv[2]);
  std::printf("%.6f %.6f\n", time_or_zero(described, argv[1], true, seconds), time_or_zero(described, argv[1], false, seconds));
  return 0;
}
