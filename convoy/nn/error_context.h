// Errors that also say where they happened.
#pragma once

#include <string>

#include "convoy/core/error.h"

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
    throw ShapeMismatch(e.reason(), fix(e));
  } catch (const ValueError& e) {
    throw ValueError(e.reason(), fix(e));
  } catch (const OutOfMemory& e) {
    throw OutOfMemory(e.reason(), fix(e));
  } catch (const Error& e) {
    throw Error(e.reason(), fix(e));
  }
}

}  // namespace convoy::nn
