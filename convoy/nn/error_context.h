// Errors that also say where they happened.
#pragma once

#include <string>

#include "convoy/core/error.h"

#include "convoy/core/raise.h"

namespace convoy::nn {

/// Runs body(); an error keeps its class and reason, and its fix is followed by the line where(error), unless that is empty.
template <class Body, class Where>
auto with_context(Body&& body, Where&& where) {
  const auto fix = [&](const Error& e) {
    const std::string line = where(e);
    return e.fix() + (e.fix().empty() || line.empty() ? "" : "\n") + line;
  };
  try {
    return body();
  } catch (const FileError&) {
    throw;
  } catch (const ShapeMismatch& e) {
    raise<ShapeMismatch>("{}\n{}", e.reason(), fix(e));
  } catch (const ValueError& e) {
    raise<ValueError>("{}\n{}", e.reason(), fix(e));
  } catch (const OutOfMemory& e) {
    raise<OutOfMemory>("{}\n{}", e.reason(), fix(e));
  } catch (const Error& e) {
    raise<Error>("{}\n{}", e.reason(), fix(e));
  }
}

}  // namespace convoy::nn
