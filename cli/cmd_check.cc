// convoy check FILE...
#include <fmt/format.h>

#include "cli/case_files.h"
#include "cli/command.h"
#include "convoy/report/format.h"
#include "convoy/report/table.h"

namespace convoy::cli {

namespace {

struct Options {
  std::vector<std::string> paths;
};

void declare(CLI::App& app, Options& options) { app.add_option("FILE", options.paths); }

report::Json counts(const check::OpSummary& summary) {
  return report::Json::object({{"passed", summary.passed},
                               {"failed", summary.failed},
                               {"refused", summary.refused},
                               {"refused_exact_text", summary.refused_exact_text},
                               {"worst_ratio", summary.worst_ratio},
                               {"largest_error", summary.largest_error}});
}

report::Json document(const CaseRun& run) {
  report::Json document = report::Json::object({{"schema", "convoy.check/1"}, {"files", run.files}});
  const check::OpSummary& total = run.summary.total;
  document.set("passed", total.passed).set("failed", total.failed).set("refused", total.refused);
  document.set("refused_exact_text", total.refused_exact_text)
      .set("worst_ratio", total.worst_ratio)
      .set("largest_error", total.largest_error);
  report::Json ops = report::Json::object(), failures = report::Json::array(), unreadable = report::Json::array();
  for (const auto& [op, summary] : run.summary.per_op) ops.set(op, counts(summary));
  for (const check::CaseResult& failure : run.summary.failures) {
    failures.push(report::Json::object({{"name", failure.name}, {"op", failure.op}, {"reason", failure.reason}}));
  }
  for (const auto& [path, error] : run.unreadable)
    unreadable.push(report::Json::object({{"file", path}, {"error", error.reason()}}));
  return document.set("ops", ops).set("failures", failures).set("unreadable", unreadable);
}

std::string table(const check::Summary& summary, const report::Style& style) {
  using report::Align;
  report::Table table({{""},
                       {"op"},
                       {"passed", Align::kRight},
                       {"failed", Align::kRight},
                       {.title = "refused as it should", .align = Align::kRight, .leaves = 2},
                       {.title = "in PyTorch's words", .align = Align::kRight, .leaves = 1},
                       {.title = "largest error/atol", .align = Align::kRight}});
  const auto add = [&](const std::string& op, const check::OpSummary& row) {
    table.add_row({style.mark(row.failed == 0), op, report::grouped(row.passed), report::grouped(row.failed),
                   report::grouped(row.refused), report::grouped(row.refused_exact_text), report::fixed(row.worst_ratio, 2)});
  };
  for (const auto& [op, row] : summary.per_op) add(op, row);
  table.add_rule();
  add("all", summary.total);
  return table.text(style);
}

int run(const Options& options, Session& session) {
  if (options.paths.empty()) {
    throw UsageError("'convoy check' needs the case files to run",
                     "for example convoy check tests/cases (docs/case_files.md explains them)");
  }
  std::vector<std::string> files;
  for (const std::string& path : options.paths) {
    for (std::string& file : case_files(path)) files.push_back(std::move(file));
  }
  const CaseRun run = run_case_files(files, session);
  const check::Summary& summary = run.summary;
  if (!summary.per_op.empty()) session.print(table(summary, session.style()) + "\n");
  for (const check::CaseResult& failure : summary.failures) {
    session.print(fmt::format("{} {}: {}\n", session.style().mark(false), failure.name, failure.reason));
  }
  if (!summary.failures.empty()) session.print("\n");
  if (!summary.per_op.empty() || run.unreadable.empty()) {
    session.print(fmt::format("{} passed, {} failed\n", summary.total.passed, summary.total.failed));
  }
  session.document(document(run));
  for (const auto& [path, error] : run.unreadable) session.complain(error);
  if (!run.unreadable.empty()) return kBadFile;
  return summary.total.failed == 0 ? kOk : kCheckFailed;
}

}  // namespace

Command check_command() {
  return make_command<Options>({.name = "check",
                                .arguments = "FILE...",
                                .summary = "compare with stored PyTorch results, forward and gradients",
                                .examples = {"convoy check tests/cases", "convoy check tests/cases/conv2d.safetensors --json"}},
                               declare, run);
}

}  // namespace convoy::cli
