#include "convoy/ops/einsum.h"

#include <algorithm>
#include <functional>
#include <map>
#include <numeric>
#include <optional>
#include <string>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/ops/index.h"
#include "convoy/ops/linear.h"
#include "convoy/ops/reduce.h"

namespace convoy::ops {

namespace {

using Labels = std::vector<int>;

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool holds(const Labels& labels, int label) { return std::find(labels.begin(), labels.end(), label) != labels.end(); }

[[noreturn]] void refuse(std::string_view equation, std::string_view reason, std::string_view fix) {
  raise<Error>("einsum: the equation '{}' {}\n{}", equation, reason, fix);
}

// One side's letters, and where "..." stands among them.
struct Term {
  Labels letters;
  std::optional<size_t> dots;
};

Term read_term(std::string_view text, std::string_view equation) {
  Term term;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == ' ') continue;
    if (text.substr(i, 3) == "...") {
      if (term.dots) refuse(equation, "has '...' twice in one term", "once stands for all axes without a name");
      term.dots = term.letters.size();
      i += 2;
    } else if (is_letter(text[i])) {
      term.letters.push_back(text[i]);
    } else {
      refuse(equation, "has a character that is no letter", "letters name axes, as in \"ij,jk->ik\"");
    }
  }
  return term;
}

// Axes in the order of `order`, which names some of `labels`; none is lost, since the others have been summed.
Tensor arranged(const Tensor& x, const Labels& labels, const Labels& order) {
  std::vector<int64_t> axes;
  for (const int label : order) axes.push_back(std::find(labels.begin(), labels.end(), label) - labels.begin());
  for (size_t i = 0; i < axes.size(); ++i) {
    if (axes[i] != static_cast<int64_t>(i)) return permute(x, axes);
  }
  return x;
}

// A tensor whose axes have names.
struct Named {
  Tensor values;
  Labels labels;

  int64_t size(int label) const { return values.size(std::find(labels.begin(), labels.end(), label) - labels.begin()); }

  // Of axes with one label the diagonal.
  void take_diagonals() {
    for (size_t i = 0; i < labels.size(); ++i) {
      for (size_t j = labels.size() - 1; j > i; --j) {
        if (labels[i] != labels[j]) continue;
        std::vector<int64_t> order;
        for (size_t k = 0; k < labels.size(); ++k) {
          if (k != i && k != j) order.push_back(static_cast<int64_t>(k));
        }
        order.push_back(static_cast<int64_t>(i));
        order.push_back(static_cast<int64_t>(j));
        const Tensor last = permute(values, order);
        const int64_t n = last.size(-1);
        Shape shape(last.shape().begin(), last.shape().end() - 2);
        shape.push_back(n * n);
        std::vector<int64_t> places(static_cast<size_t>(n));
        for (int64_t p = 0; p < n; ++p) places[static_cast<size_t>(p)] = p * (n + 1);
        values = take(last.reshape(shape), Tensor::from(places, {n}), -1);
        const int label = labels[i];
        labels.erase(labels.begin() + static_cast<ptrdiff_t>(j));
        labels.erase(labels.begin() + static_cast<ptrdiff_t>(i));
        labels.push_back(label);
        take_diagonals();
        return;
      }
    }
  }

  // Sums over every axis that nobody wants.
  template <class Wanted>
  void sum_unwanted(Wanted&& wanted) {
    std::vector<int64_t> axes;
    Labels left;
    for (size_t i = 0; i < labels.size(); ++i) {
      if (wanted(labels[i])) {
        left.push_back(labels[i]);
      } else {
        axes.push_back(static_cast<int64_t>(i));
      }
    }
    if (axes.empty()) return;
    values = reduce(ReduceKind::kSum, values, axes);
    labels = std::move(left);
  }

  // The values with each axis as long as the other operand's, where its own size is 1.
  void stretch(const Named& other) {
    Shape shape = values.shape();
    for (size_t i = 0; i < labels.size(); ++i) {
      if (shape[i] == 1 && holds(other.labels, labels[i])) shape[i] = other.size(labels[i]);
    }
    if (shape != values.shape()) values = expand(values, shape);
  }
};

int64_t product(const Named& x, const Labels& labels) {
  return std::accumulate(labels.begin(), labels.end(), int64_t{1}, [&](int64_t n, int label) { return n * x.size(label); });
}

// One product of matrices: labels of both that somebody still wants count matrices, those nobody wants are summed.
Named multiplied(Named a, Named b, const std::function<bool(int)>& wanted) {
  a.sum_unwanted([&](int label) { return wanted(label) || holds(b.labels, label); });
  b.sum_unwanted([&](int label) { return wanted(label) || holds(a.labels, label); });
  a.stretch(b);
  b.stretch(a);
  Labels batch, rows, summed, columns;
  for (const int label : a.labels) (!holds(b.labels, label) ? rows : wanted(label) ? batch : summed).push_back(label);
  for (const int label : b.labels) {
    if (!holds(a.labels, label)) columns.push_back(label);
  }
  const auto joined = [](const Labels& x, const Labels& y, const Labels& z) {
    Labels all = x;
    all.insert(all.end(), y.begin(), y.end());
    all.insert(all.end(), z.begin(), z.end());
    return all;
  };
  const int64_t count = product(a, batch), m = product(a, rows), k = product(a, summed), n = product(b, columns);
  const Tensor left = arranged(a.values, a.labels, joined(batch, rows, summed)).reshape({count, m, k});
  const Tensor right = arranged(b.values, b.labels, joined(batch, summed, columns)).reshape({count, k, n});
  Named result{{}, joined(batch, rows, columns)};
  Shape shape;
  for (const int label : batch) shape.push_back(a.size(label));
  for (const int label : rows) shape.push_back(a.size(label));
  for (const int label : columns) shape.push_back(b.size(label));
  result.values = matmul(left, right).reshape(shape);
  return result;
}

}  // namespace

EinsumLabels einsum_labels(std::string_view equation, const std::vector<int64_t>& ranks) {
  const size_t arrow = equation.find("->");
  const std::string_view inputs = equation.substr(0, arrow);
  EinsumLabels labels;
  std::map<int, int> uses;
  size_t from = 0, most_dots = 0;
  for (size_t operand = 0;; ++operand) {
    const size_t comma = inputs.find(',', from);
    const Term term = read_term(inputs.substr(from, comma - from), equation);
    if (operand >= ranks.size())
      refuse(equation, formatted("has more terms than operands, {}", ranks.size()), "one term for each operand");
    const auto rank = static_cast<size_t>(ranks[operand]), named = term.letters.size();
    if (named > rank || (named < rank && !term.dots)) {
      raise<ShapeMismatch>(
          "einsum: term {} of '{}' names {} axes, the operand has {}\n"
          "'...' stands for axes without a name",
          operand, equation, named, rank);
    }
    Labels own = term.letters;
    const size_t dots = rank - named;
    Labels hidden;
    for (size_t i = 0; i < dots; ++i) hidden.push_back(-static_cast<int>(dots - i));
    own.insert(own.begin() + static_cast<ptrdiff_t>(term.dots.value_or(0)), hidden.begin(), hidden.end());
    most_dots = std::max(most_dots, dots);
    for (const int letter : term.letters) ++uses[letter];
    labels.operands.push_back(std::move(own));
    if (comma == std::string_view::npos) break;
    from = comma + 1;
  }
  if (labels.operands.size() != ranks.size()) {
    refuse(equation, formatted("has {} terms for {} operands", labels.operands.size(), ranks.size()), "one term for each operand");
  }
  Labels hidden;
  for (size_t i = 0; i < most_dots; ++i) hidden.push_back(-static_cast<int>(most_dots - i));
  if (arrow == std::string_view::npos) {
    labels.output = hidden;
    for (const auto& [letter, count] : uses) {
      if (count == 1) labels.output.push_back(letter);
    }
    return labels;
  }
  const Term term = read_term(equation.substr(arrow + 2), equation);
  labels.output = term.letters;
  for (size_t i = 0; i < term.letters.size(); ++i) {
    const std::string letter(1, static_cast<char>(term.letters[i]));
    if (uses.count(term.letters[i]) == 0)
      refuse(equation, formatted("has '{}' in the output alone", letter), "name axes of the operands");
    if (std::count(term.letters.begin(), term.letters.end(), term.letters[i]) > 1)
      refuse(equation, formatted("has '{}' twice in the output", letter), "name each axis once");
  }
  if (term.dots) labels.output.insert(labels.output.begin() + static_cast<ptrdiff_t>(*term.dots), hidden.begin(), hidden.end());
  return labels;
}

Tensor einsum(std::string_view equation, const std::vector<Tensor>& operands) {
  std::vector<int64_t> ranks;
  for (const Tensor& operand : operands) ranks.push_back(operand.dim());
  const EinsumLabels labels = einsum_labels(equation, ranks);
  std::map<int, int64_t> sizes;
  for (size_t i = 0; i < operands.size(); ++i) {
    for (size_t axis = 0; axis < labels.operands[i].size(); ++axis) {
      const int64_t size = operands[i].shape()[axis];
      int64_t& known = sizes.try_emplace(labels.operands[i][axis], size).first->second;
      if (known == 1) known = size;
      if (size != known && size != 1) {
        raise<ShapeMismatch>(
            "einsum: axes of one label in '{}' have the sizes {} and {}\n"
            "sizes must be equal, or 1",
            equation, known, size);
      }
    }
  }
  std::vector<Named> terms;
  for (size_t i = 0; i < operands.size(); ++i) {
    Named term{operands[i], labels.operands[i]};
    // A diagonal of an axis of size 1 with a longer one is a row.
    Shape shape = term.values.shape();
    for (size_t axis = 0; axis < shape.size(); ++axis) {
      if (std::count(term.labels.begin(), term.labels.end(), term.labels[axis]) > 1) shape[axis] = sizes[term.labels[axis]];
    }
    if (shape != term.values.shape()) term.values = expand(term.values, shape);
    term.take_diagonals();
    terms.push_back(std::move(term));
  }
  Named result = std::move(terms[0]);
  for (size_t i = 1; i < terms.size(); ++i) {
    const auto wanted = [&](int label) {
      if (holds(labels.output, label)) return true;
      return std::any_of(terms.begin() + static_cast<ptrdiff_t>(i) + 1, terms.end(),
                         [&](const Named& term) { return holds(term.labels, label); });
    };
    result = multiplied(std::move(result), std::move(terms[i]), wanted);
  }
  result.sum_unwanted([&](int label) { return holds(labels.output, label); });
  const Tensor ordered = arranged(result.values, result.labels, labels.output);
  return ordered.shares_storage(operands[0]) ? ordered.clone() : ordered;
}

}  // namespace convoy::ops
