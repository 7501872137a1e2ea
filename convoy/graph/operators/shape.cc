// What changes a tensor's shape or type and not its numbers: reshaping, transposing, joining, splitting, casting.
#include <algorithm>
#include <numeric>
#include <set>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/graph/operator.h"
#include "convoy/graph/rules.h"
#include "convoy/ops/elementwise.h"
#include "convoy/ops/reduce.h"
#include "convoy/ops/slice.h"
#include "convoy/shape/checked.h"

namespace convoy::graph {
namespace {

// ---- reshape ----

std::string target_text(const Dims& dims) {
  std::string text = "[";
  for (const Dim& dim : dims)
    text += (text.size() > 1 ? ", " : "") + (dim.size != -1 || dim.symbol.empty() ? std::to_string(dim.size) : dim.symbol.text());
  return text + "]";
}

// The shape after a reshape, as far as it is known. Sizes of the target below 0 and unknown ones are the same here: what is left
// over.
Dims reshaped(const Dims& input, Dims target, bool allow_zero) {
  const std::string text = target_text(target);
  size_t rest = target.size(), unknown = 0;
  for (size_t i = 0; i < target.size(); ++i) {
    if (target[i].size < -1) raise<Error>("input 'shape' is {}\nsizes are 0 or more, one of them may be -1", text);
    if (target[i].size == 0 && !allow_zero) {
      if (i >= input.size())
        raise<ShapeMismatch>("input 'shape' is {} and takes size {} from the input\nthe input is {}", text, i, input);
      target[i] = input[i];
    } else if (!target[i].known() && target[i].symbol.empty()) {
      rest = i;
      ++unknown;
    }
  }
  // Numbers against numbers, symbols against symbols.
  shape::Checked have(1), want(1);
  std::vector<Symbol> symbols;
  bool open = unknown > 1;
  for (const Dim& dim : input) {
    if (dim.known()) {
      have = have * dim.size;
    } else if (dim.symbol.empty()) {
      open = true;
    } else {
      symbols.push_back(dim.symbol);
    }
  }
  for (size_t i = 0; i < target.size(); ++i) {
    if (i == rest && unknown == 1) continue;
    if (target[i].known()) {
      want = want * target[i].size;
    } else if (!target[i].symbol.empty()) {
      const auto found = std::find(symbols.begin(), symbols.end(), target[i].symbol);
      if (found == symbols.end()) {
        open = true;
      } else {
        symbols.erase(found);
      }
    } else {
      open = true;
    }
  }
  if (!want.ok()) raise<ShapeMismatch>("input 'shape' is {}\nits sizes do not fit 64 bits together", text);
  if (open || !have.ok()) return target;
  const bool fits = unknown == 0 ? (have.value() == want.value() || !symbols.empty())
                                 : want.value() == 0 || have.value() % want.value() == 0 || !symbols.empty();
  if (!fits) {
    raise<ShapeMismatch>(
        "an input of shape {} cannot be reshaped to {}\n"
        "it has {} elements, the shape asks for {}{}",
        input, text, have.value(), unknown != 0 ? "a multiple of " : "", want.value());
  }
  if (unknown == 1) {
    if (symbols.empty() && want.value() != 0) {
      target[rest] = {have.value() / want.value()};
    } else if (symbols.size() == 1 && have.value() == want.value()) {
      target[rest] = {-1, symbols[0]};
    }
  }
  return target;
}

void infer_reshape(Inference& inference) {
  const bool allow_zero = inference.attributes().integer("allowzero", 0) != 0;
  std::optional<Dims> target = inference.contents(1);
  std::optional<Dims> dims;
  if (const Tensor* constant = inference.constant(1)) {
    if (constant->dtype() != DType::kInt64 || constant->dim() != 1)
      raise<Error>("input 'shape' is {}\nit must be a list of int64", Type::of(*constant));
    if (!target) raise<Error>("input 'shape' has {} numbers\ntensors have up to 64 axes", constant->numel());
    if (std::count_if(target->begin(), target->end(), [](const Dim& dim) { return dim.size == -1; }) > 1) {
      raise<Error>("input 'shape' is {}\nonly one size may be -1", target_text(*target));
    }
  }
  if (target && inference.dims(0)) {
    dims = reshaped(*inference.dims(0), *target, allow_zero);
  } else if (target) {
    dims = *target;
    for (Dim& dim : *dims) {
      if (dim.size == 0 && !allow_zero) dim = {};
    }
  } else if (const auto rank = count_of_numbers(inference, 1)) {
    dims = Dims(*rank);
  }
  inference.set(0, inference.dtype(0), std::move(dims));
  if (const std::optional<Dims> contents = inference.contents(0)) inference.set_contents(0, *contents);
}

std::vector<Value> run_reshape(Call& call) {
  const Tensor& input = call.tensor(0);
  const std::vector<int64_t> target = call.numbers(1);
  if (std::count(target.begin(), target.end(), -1) > 1) raise<Error>("input 'shape' is {}\nonly one size may be -1", target);
  const bool allow_zero = call.attributes().integer("allowzero", 0) != 0;
  if (allow_zero && std::count(target.begin(), target.end(), 0) != 0 && std::count(target.begin(), target.end(), -1) != 0) {
    raise<Error>("input 'shape' is {}\nwith allowzero it may not have both 0 and -1", target);
  }
  Dims sizes;
  for (const int64_t size : target) sizes.push_back({size});
  Shape shape;
  for (const Dim& dim : reshaped(dims_of(input.shape()), sizes, allow_zero)) shape.push_back(dim.size);
  // Of nothing, any size is left over: 0 is the one that keeps it nothing.
  for (int64_t& size : shape) size = size == -1 ? 0 : size;
  return {input.reshape(shape)};
}

void infer_flatten(Inference& inference) {
  const auto& input = inference.dims(0);
  if (!input) return inference.set(0, inference.dtype(0), Dims(2));
  const auto rank = static_cast<int64_t>(input->size());
  int64_t axis = inference.attributes().integer("axis", 1);
  if (axis < -rank || axis > rank) axis_in(axis, rank);
  if (axis < 0) axis += rank;
  const auto at = static_cast<size_t>(axis);
  inference.set(0, inference.dtype(0), Dims{product(*input, 0, at), product(*input, at, input->size())});
}

std::vector<Value> run_flatten(Call& call) {
  const Tensor& input = call.tensor(0);
  int64_t axis = call.attributes().integer("axis", 1);
  if (axis < -input.dim() || axis > input.dim()) axis_in(axis, input.dim());
  if (axis < 0) axis += input.dim();
  int64_t outer = 1, inner = 1;
  for (int64_t i = 0; i < input.dim(); ++i) (i < axis ? outer : inner) *= input.size(i);
  return {input.reshape({outer, inner})};
}

// ---- axes of size 1 ----

Dims squeezed(const Dims& input, const std::vector<int64_t>* axes) {
  const auto rank = static_cast<int64_t>(input.size());
  std::vector<char> removed(input.size(), 0);
  if (axes != nullptr) {
    for (const int64_t axis : *axes) {
      const auto i = static_cast<size_t>(axis_in(axis, rank, "axes:"));
      if (input[i].known() && input[i].size != 1) {
        raise<ShapeMismatch>(
            "axis {} has size {}\n"
            "only axes of size 1 can be removed; the input is {}",
            axis, input[i].size, input);
      }
      removed[i] = 1;
    }
  }
  Dims result;
  for (size_t i = 0; i < input.size(); ++i) {
    if (axes == nullptr ? input[i].size != 1 : removed[i] == 0) result.push_back(input[i]);
  }
  return result;
}

Dims unsqueezed(const Dims& input, const std::vector<int64_t>& axes) {
  const auto rank = static_cast<int64_t>(input.size() + axes.size());
  std::set<int64_t> added;
  for (const int64_t axis : axes) {
    if (!added.insert(axis_in(axis, rank, "axes:")).second) raise<Error>("axes name axis {} twice\nname each axis once", axis);
  }
  Dims result;
  size_t from = 0;
  for (int64_t i = 0; i < rank; ++i) result.push_back(added.count(i) != 0 ? Dim{1} : input[from++]);
  return result;
}

Shape shape_of(const Dims& dims) {
  Shape shape;
  for (const Dim& dim : dims) shape.push_back(dim.size);
  return shape;
}

void infer_squeeze(Inference& inference) {
  std::optional<Dims> dims;
  const std::optional<std::vector<int64_t>> axes = inference.has(1) ? inference.numbers(1) : std::nullopt;
  const bool all_known = inference.type(0).shape().has_value();
  if (inference.dims(0) && (inference.has(1) ? axes.has_value() : all_known))
    dims = squeezed(*inference.dims(0), inference.has(1) ? &*axes : nullptr);
  const auto removed = count_of_numbers(inference, 1);
  if (!dims && inference.dims(0) && removed && *removed <= inference.dims(0)->size())
    dims = Dims(inference.dims(0)->size() - *removed);
  inference.set(0, inference.dtype(0), std::move(dims));
  if (const std::optional<Dims> contents = inference.contents(0)) inference.set_contents(0, *contents);
}

std::vector<Value> run_squeeze(Call& call) {
  const Tensor& input = call.tensor(0);
  std::vector<int64_t> axes;
  if (call.has(1)) axes = call.numbers(1);
  return {input.reshape(shape_of(squeezed(dims_of(input.shape()), call.has(1) ? &axes : nullptr)))};
}

void infer_unsqueeze(Inference& inference) {
  std::optional<Dims> dims;
  const std::optional<std::vector<int64_t>> axes = inference.constant(1) != nullptr ? inference.numbers(1) : std::nullopt;
  const auto added = count_of_numbers(inference, 1);
  if (inference.dims(0) && axes) {
    dims = unsqueezed(*inference.dims(0), *axes);
  } else if (inference.dims(0) && added) {
    dims = Dims(inference.dims(0)->size() + *added);
  }
  inference.set(0, inference.dtype(0), std::move(dims));
  if (const std::optional<Dims> contents = inference.contents(0)) inference.set_contents(0, *contents);
}

std::vector<Value> run_unsqueeze(Call& call) {
  const Tensor& input = call.tensor(0);
  return {input.reshape(shape_of(unsqueezed(dims_of(input.shape()), call.numbers(1))))};
}

// ---- order of axes ----

std::vector<int64_t> permutation(const Attributes& attributes, size_t rank) {
  std::vector<int64_t> order = attributes.integers("perm");
  if (!attributes.has("perm")) {
    order.resize(rank);
    std::iota(order.rbegin(), order.rend(), 0);
  }
  std::vector<int64_t> sorted = order, expected(rank);
  std::sort(sorted.begin(), sorted.end());
  std::iota(expected.begin(), expected.end(), 0);
  if (sorted != expected) raise<Error>("attribute 'perm' is {}\nit must name each of the input's {} axes once", order, rank);
  return order;
}

void infer_transpose(Inference& inference) {
  std::optional<Dims> dims;
  if (inference.dims(0)) {
    dims.emplace();
    for (const int64_t axis : permutation(inference.attributes(), inference.dims(0)->size()))
      dims->push_back((*inference.dims(0))[static_cast<size_t>(axis)]);
  }
  inference.set(0, inference.dtype(0), std::move(dims));
}

std::vector<Value> run_transpose(Call& call) {
  const Tensor& input = call.tensor(0);
  const std::vector<int64_t> order = permutation(call.attributes(), input.shape().size());
  return {input.dim() == 0 ? input : ops::permute(input, order)};
}

// ---- repeated values ----

void infer_expand(Inference& inference) {
  std::optional<Dims> target = inference.contents(1);
  if (const auto rank = count_of_numbers(inference, 1); !target && rank) target = Dims(*rank);
  inference.set(0, inference.dtype(0), broadcast(inference.dims(0), target));
}

std::vector<Value> run_expand(Call& call) {
  return {ops::expand(call.tensor(0), ops::broadcast_shape(call.tensor(0).shape(), call.numbers(1)))};
}

void infer_tile(Inference& inference) {
  const std::optional<std::vector<int64_t>> repeats = inference.numbers(1);
  std::optional<Dims> dims = inference.dims(0);
  if (dims && repeats) {
    if (repeats->size() != dims->size()) {
      raise<Error>("input 'repeats' has {} numbers\nthe input has {} axes: one for each", repeats->size(), dims->size());
    }
    for (size_t i = 0; i < dims->size(); ++i) {
      if ((*repeats)[i] == 1) continue;
      shape::Checked size = shape::Checked((*dims)[i].known() ? (*dims)[i].size : 0) * (*repeats)[i];
      if (!size.ok() || (*repeats)[i] < 0)
        raise<ShapeMismatch>("input 'repeats' has {}\nsizes must fit 64 bits and repeats be 0 or more", (*repeats)[i]);
      (*dims)[i] = (*dims)[i].known() ? Dim{size.value()} : Dim{};
    }
  } else if (dims) {
    dims = Dims(dims->size());
  }
  inference.set(0, inference.dtype(0), std::move(dims));
}

std::vector<Value> run_tile(Call& call) {
  const std::vector<int64_t> repeats = call.numbers(1);
  if (static_cast<int64_t>(repeats.size()) != call.tensor(0).dim()) {
    raise<Error>("input 'repeats' has {} numbers\nthe input has {} axes: one for each", repeats.size(), call.tensor(0).dim());
  }
  return {ops::tile(call.tensor(0), repeats)};
}

// ---- shapes as numbers ----

std::pair<size_t, size_t> shape_range(const Attributes& attributes, int64_t rank) {
  const auto clamp = [&](int64_t at) { return std::clamp<int64_t>(at < 0 ? at + rank : at, 0, rank); };
  const int64_t begin = clamp(attributes.integer("start", 0)),
                end = attributes.has("end") ? clamp(attributes.integer("end", 0)) : rank;
  return {static_cast<size_t>(begin), static_cast<size_t>(std::max(begin, end))};
}

void infer_shape(Inference& inference) {
  const auto& input = inference.dims(0);
  if (!input) return inference.set(0, DType::kInt64, Dims(1));
  const auto [begin, end] = shape_range(inference.attributes(), static_cast<int64_t>(input->size()));
  inference.set(0, DType::kInt64, Dims{{static_cast<int64_t>(end - begin)}});
  inference.set_contents(
      0, Dims(input->begin() + static_cast<std::ptrdiff_t>(begin), input->begin() + static_cast<std::ptrdiff_t>(end)));
}

std::vector<Value> run_shape(Call& call) {
  const Value& value = call.value(0);
  const Shape& shape = value.strings() != nullptr ? value.strings()->shape : value.tensor().shape();
  const auto [begin, end] = shape_range(call.attributes(), static_cast<int64_t>(shape.size()));
  const std::vector<int64_t> part(shape.begin() + static_cast<std::ptrdiff_t>(begin),
                                  shape.begin() + static_cast<std::ptrdiff_t>(end));
  return {Tensor::from(part, {static_cast<int64_t>(part.size())})};
}

void infer_size(Inference& inference) {
  inference.set(0, DType::kInt64, Dims{});
  if (inference.dims(0)) inference.set_contents(0, {product(*inference.dims(0), 0, inference.dims(0)->size())});
}

std::vector<Value> run_size(Call& call) { return {Tensor::from(std::vector<int64_t>{call.tensor(0).numel()}, {})}; }

void infer_identity(Inference& inference) {
  same_as_first(inference);
  if (const std::optional<Dims> contents = inference.contents(0)) inference.set_contents(0, *contents);
}

std::vector<Value> run_identity(Call& call) { return {call.value(0)}; }

// ---- types ----

DType target_type(const Attributes& attributes) { return static_cast<DType>(attributes.integer("to", 0)); }

void infer_cast(Inference& inference) {
  inference.set(0, target_type(inference.attributes()), inference.dims(0));
  if (const std::optional<Dims> contents = inference.contents(0)) {
    if (!is_floating(target_type(inference.attributes()))) inference.set_contents(0, *contents);
  }
}

std::vector<Value> run_cast(Call& call) { return {call.tensor(0).to(target_type(call.attributes()))}; }

void infer_cast_like(Inference& inference) { inference.set(0, inference.dtype(1), inference.dims(0)); }

std::vector<Value> run_cast_like(Call& call) { return {call.tensor(0).to(call.tensor(1).dtype())}; }

// ---- joining and splitting ----

void infer_concat(Inference& inference) {
  std::optional<Dims> dims;
  for (size_t i = 0; i < inference.inputs(); ++i) {
    if (!inference.has(i)) raise<Error>("input {} is left out\nevery input of Concat must be there", i);
    if (!inference.dims(i)) return inference.set(0, inference.dtype(0), std::nullopt);
  }
  const auto rank = static_cast<int64_t>(inference.dims(0)->size());
  const auto axis = static_cast<size_t>(axis_in(inference.attributes().integer("axis", 1), rank));
  dims = inference.dims(0);
  shape::Checked total((*dims)[axis].known() ? (*dims)[axis].size : 0);
  bool known = (*dims)[axis].known();
  for (size_t i = 1; i < inference.inputs(); ++i) {
    const Dims& other = *inference.dims(i);
    need_rank(inference, i, rank, rank);
    for (size_t k = 0; k < other.size(); ++k) {
      if (k == axis) {
        known = known && other[k].known();
        total = total + (other[k].known() ? other[k].size : 0);
        continue;
      }
      if (other[k].known() && (*dims)[k].known() && other[k].size != (*dims)[k].size) {
        raise<ShapeMismatch>(
            "input {} is {}, input 0 {}\n"
            "sizes must be equal but along axis {}",
            i, other, *inference.dims(0), axis);
      }
      if (!(*dims)[k].known()) (*dims)[k] = other[k];
    }
  }
  if (!total.ok()) raise<ShapeMismatch>("the sizes along axis {} do not fit 64 bits together\nuse smaller tensors", axis);
  if (inference.inputs() > 1) (*dims)[axis] = known ? Dim{total.value()} : Dim{};
  inference.set(0, inference.dtype(0), std::move(dims));
  Dims contents;
  for (size_t i = 0; i < inference.inputs(); ++i) {
    const std::optional<Dims> part = inference.contents(i);
    if (!part || rank != 1) return;
    contents.insert(contents.end(), part->begin(), part->end());
  }
  inference.set_contents(0, std::move(contents));
}

std::vector<Value> run_concat(Call& call) {
  std::vector<Tensor> tensors;
  for (size_t i = 0; i < call.inputs(); ++i) tensors.push_back(call.tensor(i));
  const int64_t axis = axis_in(call.attributes().integer("axis", 1), tensors[0].dim());
  // PyTorch joins an empty vector to anything; ONNX knows equal ranks only.
  for (const Tensor& tensor : tensors) {
    if (tensor.dim() != tensors[0].dim()) {
      raise<ShapeMismatch>("inputs have shapes {} and {}\nall need the same number of axes", tensors[0].shape(), tensor.shape());
    }
  }
  return {ops::concat(tensors, axis)};
}

// The sizes of the parts: given, or equal ones of which the last may be smaller.
std::vector<int64_t> split_sizes(int64_t n, const std::vector<int64_t>* given, int64_t parts, size_t outputs) {
  if (given != nullptr) {
    shape::Checked total(0);
    bool negative = false;
    for (const int64_t size : *given) {
      total = total + size;
      negative = negative || size < 0;
    }
    if (negative || !total.ok() || total.value() != n || given->size() != outputs) {
      raise<ShapeMismatch>("split is {}\nit needs {} sizes that add up to {}", *given, outputs, n);
    }
    return *given;
  }
  if (parts < 1 || static_cast<size_t>(parts) != outputs) raise<Error>("it makes {} parts\nit has {} outputs", parts, outputs);
  const int64_t size = shape::ceil_div(n, parts);
  std::vector<int64_t> sizes;
  for (int64_t left = n; static_cast<int64_t>(sizes.size()) < parts; left -= sizes.back()) sizes.push_back(std::min(size, left));
  return sizes;
}

int64_t split_parts(const Node& node) { return node.attributes.integer("num_outputs", static_cast<int64_t>(node.outputs.size())); }

void infer_split(Inference& inference) {
  const auto& input = inference.dims(0);
  const std::optional<std::vector<int64_t>> given = inference.has(1) ? inference.numbers(1) : std::nullopt;
  size_t axis = 0;
  if (input) axis = static_cast<size_t>(axis_in(inference.attributes().integer("axis", 0), static_cast<int64_t>(input->size())));
  const bool known = input && (*input)[axis].known() && (given || !inference.has(1));
  std::vector<int64_t> sizes;
  if (known)
    sizes = split_sizes((*input)[axis].size, given ? &*given : nullptr, split_parts(inference.node()), inference.outputs());
  for (size_t i = 0; i < inference.outputs(); ++i) {
    std::optional<Dims> dims = input;
    if (dims) (*dims)[axis] = known ? Dim{sizes[i]} : Dim{};
    inference.set(i, inference.dtype(0), std::move(dims));
  }
}

std::vector<Value> run_split(Call& call) {
  const Tensor& input = call.tensor(0);
  const int64_t axis = axis_in(call.attributes().integer("axis", 0), input.dim());
  std::vector<int64_t> given;
  if (call.has(1)) given = call.numbers(1);
  std::vector<Value> parts;
  for (Tensor& part : ops::split(
           input, split_sizes(input.size(axis), call.has(1) ? &given : nullptr, split_parts(call.node()), call.outputs()), axis)) {
    parts.emplace_back(std::move(part));
  }
  return parts;
}

// ---- blocks ----

int64_t block_size(const Attributes& attributes) {
  const int64_t block = attributes.integer("blocksize", 0);
  if (block < 1 || block > (int64_t{1} << 30)) raise<Error>("attribute 'blocksize' is {}\nit must be at least 1", block);
  return block;
}

void infer_depth_to_space(Inference& inference) {
  need_rank(inference, 0, 4, 4);
  const int64_t block = block_size(inference.attributes());
  std::optional<Dims> dims = inference.dims(0);
  if (dims) {
    Dim& channels = (*dims)[1];
    if (channels.known() && channels.size % (block * block) != 0) {
      raise<ShapeMismatch>("attribute 'blocksize' is {}\nits square must divide the {} channels", block, channels.size);
    }
    if (channels.known()) channels.size /= block * block;
    for (size_t i = 2; i < 4; ++i) {
      if (!(*dims)[i].known()) {
        (*dims)[i] = {};
        continue;
      }
      const shape::Checked size = shape::Checked((*dims)[i].size) * block;
      if (!size.ok()) raise<ShapeMismatch>("attribute 'blocksize' is {}\nsizes must fit 64 bits", block);
      (*dims)[i].size = size.value();
    }
    if (!channels.known()) channels = {};
  }
  inference.set(0, inference.dtype(0), std::move(dims));
}

std::vector<Value> run_depth_to_space(Call& call) {
  const std::string mode = call.attributes().text("mode", "DCR");
  if (mode != "DCR" && mode != "CRD") raise<Error>("attribute 'mode' is '{}'\nuse DCR or CRD", mode);
  return {ops::depth_to_space(call.tensor(0), block_size(call.attributes()),
                              mode == "DCR" ? ops::DepthOrder::kDepthColumnRow : ops::DepthOrder::kColumnRowDepth)};
}

void infer_space_to_depth(Inference& inference) {
  need_rank(inference, 0, 4, 4);
  const int64_t block = block_size(inference.attributes());
  std::optional<Dims> dims = inference.dims(0);
  if (dims) {
    for (size_t i = 2; i < 4; ++i) {
      Dim& size = (*dims)[i];
      if (size.known() && size.size % block != 0) {
        raise<ShapeMismatch>(
            "attribute 'blocksize' is {}\n"
            "it must divide height and width; the input is {}",
            block, *inference.dims(0));
      }
      size = size.known() ? Dim{size.size / block} : Dim{};
    }
    const shape::Checked channels = shape::Checked((*dims)[1].known() ? (*dims)[1].size : 0) * block * block;
    if (!channels.ok()) raise<ShapeMismatch>("attribute 'blocksize' is {}\nsizes must fit 64 bits", block);
    (*dims)[1] = (*dims)[1].known() ? Dim{channels.value()} : Dim{};
  }
  inference.set(0, inference.dtype(0), std::move(dims));
}

std::vector<Value> run_space_to_depth(Call& call) { return {ops::space_to_depth(call.tensor(0), block_size(call.attributes()))}; }

// ---- constants ----

Tensor fill_value(const Attributes& attributes) {
  const Tensor* value = attributes.get<Tensor>("value");
  if (value == nullptr) return Tensor::zeros({1});
  if (value->numel() != 1) raise<ShapeMismatch>("attribute 'value' has shape {}\nit must be one number", value->shape());
  return *value;
}

void infer_constant_of_shape(Inference& inference) {
  std::optional<Dims> dims = inference.contents(0);
  if (inference.constant(0) != nullptr && dims) {
    for (const Dim& dim : *dims) {
      if (dim.size < 0) raise<Error>("the shape is {}\nsizes are 0 or more", target_text(*dims));
    }
  }
  if (const auto rank = count_of_numbers(inference, 0); !dims && rank) dims = Dims(*rank);
  inference.set(0, fill_value(inference.attributes()).dtype(), std::move(dims));
}

std::vector<Value> run_constant_of_shape(Call& call) {
  const std::vector<int64_t> shape = call.numbers(0);
  for (const int64_t size : shape) {
    if (size < 0) raise<Error>("the shape is {}\nsizes are 0 or more", shape);
  }
  return {ops::expand(fill_value(call.attributes()).reshape({}), shape)};
}

}  // namespace

std::span<const Operator> shape_operators() {
  static constexpr Operator kRows[] = {
      {"Reshape", infer_reshape, run_reshape, false, 0, 0},
      {"Flatten", infer_flatten, run_flatten, false, 0, 0},
      {"Squeeze", infer_squeeze, run_squeeze, false, 0, 0},
      {"Unsqueeze", infer_unsqueeze, run_unsqueeze, false, 0, 0},
      {"Transpose", infer_transpose, run_transpose, false, 0, 0},
      {"Expand", infer_expand, run_expand, false, 0, 0},
      {"Tile", infer_tile, run_tile, false, 0, 0},
      {"Shape", infer_shape, run_shape},
      {"Size", infer_size, run_size},
      {"Identity", infer_identity, run_identity, false, 0, 0},
      {"Cast", infer_cast, run_cast},
      {"CastLike", infer_cast_like, run_cast_like},
      {"Concat", infer_concat, run_concat, false, 0, 0},
      {"Split", infer_split, run_split, false, 0, 0},
      {"DepthToSpace", infer_depth_to_space, run_depth_to_space, false, 0, 0},
      {"SpaceToDepth", infer_space_to_depth, run_space_to_depth, false, 0, 0},
      {"ConstantOfShape", infer_constant_of_shape, run_constant_of_shape},
  };
  return kRows;
}

}  // namespace convoy::graph
