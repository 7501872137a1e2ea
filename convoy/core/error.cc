#include "convoy/core/error.h"

namespace convoy {

namespace {
std::string join(std::string_view reason, std::string_view fix) {
  std::string text(reason);
  if (!fix.empty()) text.append("\n").append(fix);
  return text;
}
}  // namespace

Error::Error(std::string_view reason, std::string_view fix) : std::runtime_error(join(reason, fix)), reason_(reason), fix_(fix) {}

}  // namespace convoy
