// Errors. Below ops nothing throws except core itself; above, every refusal is a convoy::Error.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace convoy {

/// Base of every exception that Convoy throws. what() is PyTorch's own text where PyTorch has one (`reason`), then, on a second
/// line, what would work (`fix`, may be empty).
class Error : public std::runtime_error {
 public:
  explicit Error(std::string_view reason, std::string_view fix = {});

  const std::string& reason() const noexcept { return reason_; }
  const std::string& fix() const noexcept { return fix_; }

 private:
  std::string reason_;
  std::string fix_;
};

/// Where PyTorch raises ValueError rather than RuntimeError.
class ValueError : public Error {
 public:
  using Error::Error;
};

/// Sizes that cannot work together; the command line exits with 4.
class ShapeMismatch : public Error {
 public:
  using Error::Error;
};

/// More memory than there is; the command line exits with 4, as for other sizes that cannot be.
class OutOfMemory : public Error {
 public:
  using Error::Error;
};

/// A file that cannot be read, written or understood; the command line exits with 3. The reason starts with the path.
class FileError : public Error {
 public:
  using Error::Error;
};

}  // namespace convoy
