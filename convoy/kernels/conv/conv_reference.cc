#include "convoy/kernels/conv/conv_reference.h"

#include <complex>

#include "convoy/core/parallel.h"

namespace convoy::kernels {

template <class T>
void conv_reference(const ConvShape& s, const ConvForward<T>& io) {
  parallel_for(s.batch * s.out_channels,
               [&](int64_t plane) { conv_reference_forward(s, io, plane / s.out_channels, plane % s.out_channels); });
}

template <class T>
void conv_reference(const ConvShape& s, const ConvGradInput<T>& io) {
  parallel_for(s.batch * s.in_channels,
               [&](int64_t plane) { conv_reference_grad_input(s, io, plane / s.in_channels, plane % s.in_channels); });
}

template <class T>
void conv_reference(const ConvShape& s, const ConvGradWeight<T>& io) {
  const int64_t icg = s.in_channels_per_group();
  parallel_for(s.out_channels * icg, [&](int64_t pair) { conv_reference_grad_weight(s, io, pair / icg, pair % icg); });
}

template void conv_reference(const ConvShape&, const ConvForward<float>&);
template void conv_reference(const ConvShape&, const ConvForward<double>&);
template void conv_reference(const ConvShape&, const ConvForward<std::complex<double>>&);
template void conv_reference(const ConvShape&, const ConvGradInput<float>&);
template void conv_reference(const ConvShape&, const ConvGradInput<double>&);
template void conv_reference(const ConvShape&, const ConvGradInput<std::complex<double>>&);
template void conv_reference(const ConvShape&, const ConvGradWeight<float>&);
template void conv_reference(const ConvShape&, const ConvGradWeight<double>&);
template void conv_reference(const ConvShape&, const ConvGradWeight<std::complex<double>>&);

namespace {

const char* refuse_nothing(const ConvShape&) { return nullptr; }
size_t no_workspace(const ConvShape&, int) { return 0; }

// Two to four nanoseconds a multiply-add and thread, and its turn for every position of either side.
double seconds(const ConvShape& s, const Machine& m) {
  const double macs = static_cast<double>(s.batch) * static_cast<double>(s.out_channels) *
                      static_cast<double>(s.in_channels_per_group()) * static_cast<double>(s.output_positions()) *
                      static_cast<double>(s.taps());
  return 1e-6 + (macs * 3e-9 + static_cast<double>(s.input_count() + s.output_count()) * 6e-9) / m.threads;
}

}  // namespace

const ConvKernel kConvReferenceForward{
    .name = "conv_reference",
    .direction = Direction::kForward,
    .refuse = refuse_nothing,
    .seconds = seconds,
    .workspace_bytes = no_workspace,
    .forward = [](const ConvShape& s, const ConvForward<float>& io, Workspace&) { conv_reference(s, io); }};

const ConvKernel kConvReferenceGradInput{
    .name = "conv_reference",
    .direction = Direction::kGradInput,
    .refuse = refuse_nothing,
    .seconds = seconds,
    .workspace_bytes = no_workspace,
    .grad_input = [](const ConvShape& s, const ConvGradInput<float>& io, Workspace&) { conv_reference(s, io); }};

const ConvKernel kConvReferenceGradWeight{
    .name = "conv_reference",
    .direction = Direction::kGradWeight,
    .refuse = refuse_nothing,
    .seconds = seconds,
    .workspace_bytes = no_workspace,
    .grad_weight = [](const ConvShape& s, const ConvGradWeight<float>& io, Workspace&) { conv_reference(s, io); }};

}  // namespace convoy::kernels
