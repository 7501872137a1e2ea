#include <filesystem>
#include <string>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/data/dataset.h"
#include "convoy/io/file.h"

namespace convoy::data {

Split open_dataset(const std::string& text) {
  const size_t colon = text.find(':');
  const std::string kind = text.substr(0, colon), folder = colon == std::string::npos ? "" : text.substr(colon + 1);
  if (text == "shapes") return drawn_shapes();
  if (kind == "idx" && !folder.empty()) return idx_folder(folder);
  if (kind == "folder" && !folder.empty()) return image_folder(folder);
  std::error_code ignored;
  std::string fix = "the forms are shapes, idx:DIR (MNIST's files) and folder:DIR (a folder of images for each class)";
  if (std::filesystem::is_directory(text, ignored))
    fix = formatted("for a folder of images for each class: folder:{}; for MNIST's files: idx:{}", text, text);
  raise<ValueError>("unknown data set {}\n{}", io::quote(text), fix);
}

}  // namespace convoy::data
