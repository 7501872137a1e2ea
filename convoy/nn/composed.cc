#include "convoy/nn/composed.h"

#include <utility>

namespace convoy::nn {

std::shared_ptr<Composed> Composed::with_children(Children children) const {
  std::shared_ptr<Composed> made = copy();
  made->replace_children(std::move(children));
  return made;
}

}  // namespace convoy::nn
