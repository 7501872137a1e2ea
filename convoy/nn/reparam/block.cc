#include "convoy/nn/reparam/block.h"

#include <utility>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/core/random.h"

namespace convoy::nn {

namespace {

// Drawing values that are overwritten must not change what is drawn next.
class KeptGenerator {
 public:
  KeptGenerator() : before_(default_generator()) {}
  ~KeptGenerator() { default_generator() = before_; }
  KeptGenerator(const KeptGenerator&) = delete;
  KeptGenerator& operator=(const KeptGenerator&) = delete;

 private:
  Generator before_;
};

}  // namespace

ReparamBlock::ReparamBlock(const std::string& type, int rank, int least_rank, ConvLayerOptions convolution)
    : type_(rank == 2 ? type : formatted("{}{}d", type, rank)), rank_(rank), convolution_(std::move(convolution)) {
  if (rank < least_rank || rank > 3) {
    raise<ValueError>(
        "{} has {} to 3 spatial axes, not {}\n"
        "{}",
        type, least_rank, rank,
        least_rank == 2 ? "on one axis its branches would be the same convolution" : "rank counts the spatial axes");
  }
  require(convolution_.in_channels != kRequired, type_, "in_channels");
  require(convolution_.out_channels != kRequired, type_, "out_channels");
  require(!convolution_.kernel_size.empty(), type_, "kernel_size");
  convolution_.bias = true;
  if (convolution_.padding.named()) {  // the convolution's constructor knows the names and their conditions
    const KeptGenerator kept;
    make_conv(rank, convolution_);
  }
  std::vector<shape::PadPair> sides;
  for (const shape::Axis& axis : axes_of(rank, convolution_)) {
    if (axis.pad_begin < 0 || axis.pad_end < 0) raise<Error>("negative padding is not supported\nuse 0 or more");
    kernel_size_.push_back(axis.kernel_size);
    sides.push_back({axis.pad_begin, axis.pad_end});
  }
  convolution_.padding = padding_of(sides);
}

ConvParameters ReparamBlock::equivalent_kernel_bias() const {
  if (deployed()) {
    return {deployed_->weight().data().to(DType::kFloat64), deployed_->bias().data().to(DType::kFloat64)};
  }
  std::vector<ConvParameters> branches;
  for (const FoldedBranch& branch : folded_branches()) {
    branches.push_back({ops::place_kernel(branch.parameters.weight, kernel_size_, branch.first_tap), branch.parameters.bias});
  }
  return ops::add_branches(branches);
}

std::shared_ptr<Conv> ReparamBlock::fused() const {
  const ConvParameters one = equivalent_kernel_bias();
  const DType dtype = parameters().front().dtype();
  const KeptGenerator kept;
  std::shared_ptr<Conv> conv = make_conv(rank_, convolution_);
  conv->to(dtype);
  conv->weight().data().copy_(one.weight.to(dtype));
  conv->bias().data().copy_(one.bias.to(dtype));
  conv->eval();
  return conv;
}

ReparamBlock::ConvNorm ReparamBlock::conv_norm(const std::vector<int64_t>& kernel_size, const BatchNormLayerOptions& norm) const {
  ConvNorm made{std::make_shared<BranchConv>(rank_, convolution_, kernel_size), make_batch_norm(rank_, norm),
                std::make_shared<Sequential>()};
  made.both->add("conv", made.conv);
  made.both->add("bn", made.norm);
  return made;
}

FoldedBranch ReparamBlock::folded(const std::string& name, const BranchConv& conv, const BatchNorm& norm) {
  return {name, ops::fold_after(parameters_of(conv), affine_of(norm)), conv.first_tap()};
}

void ReparamBlock::deploy(const char* name) {
  deployed_ = make_conv(rank_, convolution_);
  register_child(name, deployed_);
}

}  // namespace convoy::nn
