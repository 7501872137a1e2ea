// Composed: layers that are connected otherwise than in a row, by a class that says how.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "convoy/nn/module.h"

namespace convoy::nn {

/// Base of classes that compute with their children alone, called by place: (*children()[i].second)(x). A class of your own that
/// derives from it instead of Module can be folded by fuse() (nn/reparam/fuse.h):
///
///   class Shortcut : public nn::Composed {   // x + bn(conv(x))
///    public:
///     Shortcut(nn::Conv2d conv, nn::BatchNorm2d bn) { register_child("conv", conv), register_child("bn", bn); }
///     std::string type() const override { return "Shortcut"; }
///     Variable forward(const Variable& x) override { return x + child(1)(child(0)(x)); }
///     std::vector<std::vector<size_t>> chains() const override { return {{0, 1}}; }
///
///    private:
///     std::shared_ptr<Composed> copy() const override { return std::make_shared<Shortcut>(*this); }
///   };
class Composed : public Module {
 public:
  /// Places of children that are applied one right after the other: each gets the output of the one before it, which goes nowhere
  /// else. Children that are called more than once, or alone, are in none.
  virtual std::vector<std::vector<size_t>> chains() const = 0;
  /// The same computation with other children, under the same names.
  std::shared_ptr<Composed> with_children(Children children) const;

 protected:
  Composed() = default;
  explicit Composed(const Children& children) {
    for (const auto& [name, layer] : children) register_child(name, layer);
  }
  Module& child(size_t place) const { return *children()[place].second; }

 private:
  /// std::make_shared<Class>(*this).
  virtual std::shared_ptr<Composed> copy() const = 0;
};

}  // namespace convoy::nn
