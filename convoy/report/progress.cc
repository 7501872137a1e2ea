#include "convoy/report/progress.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "convoy/report/format.h"

namespace convoy::report {

namespace {

double steady_seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// One write per redraw, so that an interruption never leaves half a bar or an open colour behind.
void write_to_stderr(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
    if (written <= 0) return;
    text.remove_prefix(static_cast<size_t>(written));
  }
}

std::string time_left(double seconds) {
  if (seconds < 99.5) return grouped(static_cast<int64_t>(seconds + 0.5)) + " s left";
  return duration(seconds) + " left";
}

ProgressMode resolved(ProgressMode mode, const Terminal& terminal) {
  if (mode != ProgressMode::kAuto) return mode;
  return terminal.is_terminal && !terminal.is_dumb ? ProgressMode::kBar : ProgressMode::kPlain;
}

}  // namespace

std::string bar(int64_t done, int64_t total, int width, const Style& style) {
  const double fraction = total > 0 ? std::clamp(static_cast<double>(done) / static_cast<double>(total), 0.0, 1.0) : 1.0;
  const int filled = static_cast<int>(fraction * width);
  std::string full, rest;
  for (int i = 0; i < filled; ++i) full += "━";
  for (int i = filled; i < width; ++i) rest += style.terminal().utf8 ? "─" : ".";
  return style.cyan(full) + style.dim(rest);
}

Progress::Progress(ProgressOptions options, int64_t total, std::string unit, double items_per_step)
    : options_(std::move(options)),
      mode_(resolved(options_.mode, options_.terminal)),
      style_(options_.terminal),
      total_(total),
      unit_(std::move(unit)),
      items_per_step_(items_per_step),
      section_last_(total) {
  if (!options_.clock) options_.clock = steady_seconds;
  if (!options_.write) options_.write = write_to_stderr;
  start_time_ = section_time_ = last_update_ = options_.clock();
}

Progress::~Progress() { clear(); }

void Progress::section(std::string label, int64_t first, int64_t last) {
  label_ = std::move(label);
  section_first_ = first;
  section_last_ = last;
  section_done_ = std::max(done_, first);
  section_time_ = last_update_ = options_.clock();
}

void Progress::start_at(int64_t done) {
  done_ = started_at_ = section_done_ = done;
  tenths_ = total_ > 0 ? done * 10 / total_ : 0;
  start_time_ = section_time_ = last_update_ = options_.clock();
}

double Progress::rate() const {
  const double seconds = last_update_ - section_time_;
  return seconds > 0 ? static_cast<double>(done_ - section_done_) * items_per_step_ / seconds : 0;
}

void Progress::update(int64_t done, std::string_view note) {
  done_ = done;
  last_update_ = options_.clock();
  if (last_update_ - start_time_ < options_.delay) return;
  if (mode_ == ProgressMode::kBar) {
    constexpr double kRedraw = 0.1;
    if (last_draw_ < 0 || last_update_ - last_draw_ >= kRedraw || done_ == section_last_) draw(note);
  } else if (mode_ == ProgressMode::kPlain) {
    const int64_t tenths = total_ > 0 ? done_ * 10 / total_ : 10;
    if (tenths > tenths_) {
      tenths_ = tenths;
      print_line(note);
    }
  }
}

// Erasing to the end of the line also takes away the "^C" that a terminal shows.
std::string Progress::erased() const {
  if (options_.terminal.is_terminal && !options_.terminal.is_dumb) return "\r\x1b[K";
  return "\r" + std::string(static_cast<size_t>(drawn_width_), ' ') + "\r";
}

void Progress::draw(std::string_view note) {
  constexpr int kBarWidth = 20, kSmallestBar = 5;
  std::string left = label_.empty() ? "" : label_ + "  ";
  std::string right = "  " + grouped(done_ - section_first_) + "/" + grouped(section_last_ - section_first_);
  if (rate() > 0) right += "  " + grouped(static_cast<int64_t>(rate())) + " " + unit_ + "/s";
  if (!note.empty()) right += "  " + std::string(note);
  if (done_ > started_at_ && done_ < total_ && last_update_ > start_time_) {
    const double per_step = (last_update_ - start_time_) / static_cast<double>(done_ - started_at_);
    right += "  " + time_left(per_step * static_cast<double>(total_ - done_));
  }
  const int room = options_.terminal.columns - 1 - display_width(left) - display_width(right);
  const std::string drawn_bar =
      room >= kSmallestBar ? bar(done_ - section_first_, section_last_ - section_first_, std::min(kBarWidth, room), style_) : "";
  const std::string line = truncated(style_.shown(left + drawn_bar + right), options_.terminal.columns - 1);
  options_.write(erased() + line);
  drawn_width_ = display_width(line);
  last_draw_ = last_update_;
}

void Progress::print_line(std::string_view note) {
  std::string line = label_.empty() ? "" : label_ + "  ";
  line += grouped(tenths_ * 10) + " %";
  if (rate() > 0) line += "  " + grouped(static_cast<int64_t>(rate())) + " " + unit_ + "/s";
  if (!note.empty()) line += "  " + std::string(note);
  if (done_ > started_at_ && done_ < total_ && last_update_ > start_time_) {
    const double per_step = (last_update_ - start_time_) / static_cast<double>(done_ - started_at_);
    line += "  " + time_left(per_step * static_cast<double>(total_ - done_));
  }
  options_.write(style_.shown(line) + "\n");
}

void Progress::clear() {
  if (drawn_width_ == 0) return;
  options_.write(erased());
  drawn_width_ = 0;
  last_draw_ = -1;
}

}  // namespace convoy::report
