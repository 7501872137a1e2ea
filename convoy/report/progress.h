// Progress of long work.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "convoy/report/terminal.h"

namespace convoy::report {

/// kAuto: a bar on a terminal that can redraw a line, else one line per 10 %.
enum class ProgressMode { kAuto, kBar, kPlain, kNone };

/// Where and how to show progress. `clock` gives seconds, `write` the stream (standard error); tests give their own.
struct ProgressOptions {
  ProgressMode mode = ProgressMode::kAuto;
  Terminal terminal;
  std::function<double()> clock;
  std::function<void(std::string_view)> write;
  double delay = 0;  // seconds in which nothing is shown: short work needs no progress
};

/// "━━━━━━━━────" with `width` cells, the first `done / total` of them filled.
std::string bar(int64_t done, int64_t total, int width, const Style& style);

/// Shows how far a piece of work is: a bar, the rate, a note ("loss 1.312") and the time left, redrawn at most ten times a second;
/// or one line per 10 %. The work is counted in steps of `items_per_step` items (images); the rate is in items. A bar shows one
/// section at a time (an epoch); percentages and the time left are of the whole.
///
///   Progress progress(options, 315, "img", 64);
///   progress.section("epoch 1", 0, 63);
///   progress.update(1, "loss 2.303");
///   progress.clear();              // before printing something else
class Progress {
 public:
  Progress(ProgressOptions options, int64_t total, std::string unit, double items_per_step = 1);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Steps [first, last) are shown under `label` from now on. Time that passed since the last update (an evaluation) does not lower
  /// the rate.
  void section(std::string label, int64_t first, int64_t last);
  /// `done` steps of the whole are finished.
  void update(int64_t done, std::string_view note = {});
  /// Work done before this run (a resumed one): counted as done, but not for the rate.
  void start_at(int64_t done);
  /// Takes the bar off the screen; the next update() draws it again.
  void clear();
  /// Items per second in the current section, 0 before the first update.
  double rate() const;
  /// Whether anything is shown.
  bool visible() const { return mode_ != ProgressMode::kNone; }

 private:
  std::string erased() const;
  void draw(std::string_view note);
  void print_line(std::string_view note);

  ProgressOptions options_;
  ProgressMode mode_;
  Style style_;
  int64_t total_, done_ = 0, started_at_ = 0;
  std::string unit_;
  double items_per_step_;
  std::string label_;
  int64_t section_first_ = 0, section_last_ = 0, section_done_ = 0;
  double start_time_ = 0, section_time_ = 0, last_update_ = 0, last_draw_ = -1;
  int64_t tenths_ = 0;
  int drawn_width_ = 0;
};

}  // namespace convoy::report
