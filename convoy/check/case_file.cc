#include "convoy/check/case_file.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <type_traits>

#include "convoy/check/op_table.h"
#include "convoy/core/error.h"
#include "convoy/core/random.h"

namespace convoy::check {
namespace {

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

template <class T>
bool same_bits(T a, T b) {
  if constexpr (std::is_same_v<T, float>) {
    return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b) || (std::isnan(a) && std::isnan(b));
  } else if constexpr (std::is_same_v<T, double>) {
    return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b) || (std::isnan(a) && std::isnan(b));
  } else {
    return a == b;
  }
}

/// Position and size of the largest error.
struct Difference {
  double error = 0;  // infinite where a NaN or an infinity meets something else
  int64_t at = -1;   // of the largest error above 0
  bool same = true;  // bit for bit
};

template <class T>
Difference difference(const Tensor& got, const Tensor& stored) {
  Difference out;
  const T* a = got.data<T>();
  const T* b = stored.data<T>();
  for (int64_t i = 0; i < got.numel(); ++i) {
    if (same_bits(a[i], b[i])) continue;
    out.same = false;
    double error = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    if (std::isnan(error)) error = INFINITY;
    if (error > out.error || out.at < 0) {
      out.error = error;
      out.at = i;
    }
  }
  return out;
}

/// The stored tensor for a computed one of this shape: NumPy stores a scalar as one value of shape [1].
Tensor unwrapped(const Tensor& stored, const Shape& shape) {
  return shape.empty() && stored.shape() == Shape{1} ? stored.reshape({}) : stored;
}

/// Judges one tensor against its stored twin and keeps the largest error in `result`.
void compare(const std::string& name, const Tensor& got, const Tensor& as_stored, double atol, CaseResult& result) {
  const auto fail = [&](const std::string& why) {
    if (result.reason.empty()) result.reason = name + ": " + why;
  };
  if (!got.defined()) return fail("not computed");
  const Tensor stored = unwrapped(as_stored, got.shape());
  if (got.shape() != stored.shape())
    return fail("shape " + convoy::to_string(got.shape()) + ", stored " + convoy::to_string(stored.shape()));
  if (got.dtype() != stored.dtype()) return fail(std::string(dtype_name(got.dtype())) + ", stored " + dtype_name(stored.dtype()));
  const Difference d = got.dtype() == DType::kFloat64 ? difference<double>(got, stored)
                       : is_floating(got.dtype())     ? difference<float>(got.to(DType::kFloat32), stored.to(DType::kFloat32))
                                                      : difference<int64_t>(got.to(DType::kInt64), stored.to(DType::kInt64));
  if (d.same) return;
  result.largest_error = std::max(result.largest_error, d.error);
  result.error_ratio = std::max(result.error_ratio, atol > 0 ? d.error / atol : INFINITY);
  if (atol > 0 && d.error <= atol) return;
  char numbers[160];
  std::snprintf(numbers, sizeof numbers, "element %lld is %.9g, stored %.9g, off by %.3g where %.3g is allowed",
                static_cast<long long>(d.at), got.at(d.at), stored.at(d.at), d.error, atol);
  fail(numbers);
}

double atol_of(const StoredCase& stored, const std::string& name) {
  const auto found = stored.atol.find(name);
  return found == stored.atol.end() ? 0.0 : found->second;
}

std::string join(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "'" : ", '") + name + "'";
  return out;
}

void check_module(const StoredCase& stored, CaseResult& result) {
  const Arguments args(stored.args);
  const ModuleRow* row = find_module(args.text("type", ""));
  if (row == nullptr) throw BadCall("the engine has no module '" + args.text("type", "") + "'");
  NamedArguments named;
  if (const Argument* given = args.find("options")) {
    if (given->kind != Argument::Kind::kDict) throw BadCall("argument 'options' is " + to_string(*given) + ", not a dict");
    for (size_t i = 0; i < given->keys.size(); ++i) named.emplace(given->keys[i], given->list[i]);
  }
  const Arguments options(named);
  manual_seed(static_cast<uint64_t>(args.integer("seed", 0)));
  const std::shared_ptr<nn::Module> module = row->make(options);
  if (!options.unused().empty()) throw BadCall(std::string(row->type) + " has no option " + join(options.unused()));
  if (stored.error) return;
  const nn::StateDict state = module->state_dict();
  for (const auto& [name, tensor] : stored.outputs) {
    const auto found = std::find_if(state.begin(), state.end(), [&name = name](const auto& entry) { return entry.first == name; });
    compare(name, found == state.end() ? Tensor() : found->second, tensor, atol_of(stored, name), result);
  }
  if (stored.repr && module->repr() != *stored.repr && result.reason.empty()) {
    result.reason = "repr is " + module->repr() + ", stored " + *stored.repr;
  }
}

void check_call(const StoredCase& stored, CaseResult& result) {
  const OpRow* row = find_op(stored.op);
  if (row == nullptr) throw BadCall("the engine has no op '" + stored.op + "'");
  Call call(stored);
  const Outputs outputs = row->run(call);
  if (stored.error) return;
  if (!call.args().unused().empty()) throw BadCall("arguments that " + stored.op + " does not have: " + join(call.args().unused()));
  if (!call.unused_inputs().empty()) throw BadCall("inputs that " + stored.op + " does not have: " + join(call.unused_inputs()));

  const auto output = [&](const std::string& name) {
    const auto found = std::find_if(outputs.begin(), outputs.end(), [&](const auto& entry) { return entry.first == name; });
    return found == outputs.end() ? Variable() : found->second;
  };
  for (const auto& [name, tensor] : stored.outputs) {
    const Variable got = output(name);
    compare(name, got.defined() ? got.data() : Tensor(), tensor, atol_of(stored, name), result);
  }
  for (const auto& [name, grad_output] : stored.grad_outputs) {
    Variable got = output(name);
    if (!got.defined()) throw BadCall("grad_outputs names '" + name + "', which " + stored.op + " does not compute");
    got.backward(unwrapped(grad_output, got.shape()));
  }
  for (const auto& [name, tensor] : stored.grads) {
    const Variable* input = call.find(name);
    if (input == nullptr) throw BadCall("grads names '" + name + "', which is no input");
    compare("grad." + name, input->grad(), tensor, atol_of(stored, "grad." + name), result);
  }
}

CaseResult run_case(const StoredCase& stored) {
  CaseResult result{.name = stored.name, .op = stored.op};
  try {
    if (stored.op == "module") {
      check_module(stored, result);
    } else {
      check_call(stored, result);
    }
    if (stored.error) {
      result.reason = "accepted, PyTorch refuses: " + *stored.error;
    } else if (result.reason.empty()) {
      result.outcome = Outcome::kPassed;
    }
  } catch (const Error& e) {
    const std::string said = first_line(e.reason());
    if (!stored.error) {
      result.reason = "refused: " + said;
    } else if (std::string(e.what()).find(stored.error_key.value_or(*stored.error)) == std::string::npos) {
      result.reason = "refused as it should be but with \"" + said + "\", PyTorch says: " + *stored.error;
    } else {
      result.outcome = Outcome::kRefusedAsExpected;
      result.exact_text = said == *stored.error;
    }
  } catch (const BadCall& e) {
    result.reason = e.what();
  } catch (const std::exception& e) {
    result.reason = std::string("not one of the engine's errors: ") + e.what();
  }
  return result;
}

void count(const CaseResult& result, OpSummary& summary) {
  summary.passed += result.outcome != Outcome::kFailed;
  summary.failed += result.outcome == Outcome::kFailed;
  summary.refused += result.outcome == Outcome::kRefusedAsExpected;
  summary.refused_exact_text += result.outcome == Outcome::kRefusedAsExpected && result.exact_text;
  summary.worst_ratio = std::max(summary.worst_ratio, result.error_ratio);
  summary.largest_error = std::max(summary.largest_error, result.largest_error);
}

}  // namespace

const OpRow* find_op(std::string_view op) {
  for (const std::span<const OpRow> rows : {conv_ops(), pool_ops(), norm_ops(), elementwise_ops(), rearrange_ops(), loss_ops()}) {
    for (const OpRow& row : rows) {
      if (row.op == op) return &row;
    }
  }
  return nullptr;
}

const ModuleRow* find_module(std::string_view type) {
  for (const ModuleRow& row : module_types()) {
    if (row.type == type) return &row;
  }
  return nullptr;
}

std::vector<CaseResult> run_case_file(const std::string& path) {
  std::vector<CaseResult> results;
  for (const StoredCase& stored : read_case_file(path)) results.push_back(run_case(stored));
  return results;
}

Summary summarize(const std::vector<CaseResult>& results) {
  Summary summary;
  for (const CaseResult& result : results) {
    count(result, summary.total);
    count(result, summary.per_op[result.op]);
    if (result.outcome == Outcome::kFailed) summary.failures.push_back(result);
  }
  return summary;
}

}  // namespace convoy::check
