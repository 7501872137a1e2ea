#include "convoy/report/progress.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace convoy::report {
namespace {

struct Screen {
  double now = 100;
  std::string text;

  ProgressOptions options(ProgressMode mode, Terminal terminal) {
    return {mode, terminal, [this] { return now; }, [this](std::string_view t) { text += t; }};
  }
  std::string last_line() const { return text.substr(text.rfind('\r') + 1); }
};

constexpr Terminal kTty{.is_terminal = true, .utf8 = true, .columns = 100};
const std::string kErase = "\x1b[K";

TEST(Progress, BarShowsSectionRateNoteAndTimeLeftOfTheWhole) {
  Screen screen;
  Progress progress(screen.options(ProgressMode::kAuto, kTty), 20, "img", 64);
  progress.section("epoch 1", 0, 10);
  screen.now += 1;
  progress.update(5, "loss 1.312");
  EXPECT_EQ(screen.last_line(), kErase + "epoch 1  ━━━━━━━━━━──────────  5/10  320 img/s  loss 1.312  3 s left");
  progress.clear();
  EXPECT_EQ(screen.last_line(), kErase);
}

TEST(Progress, TimeBetweenSectionsDoesNotLowerTheRate) {
  Screen screen;
  Progress progress(screen.options(ProgressMode::kBar, kTty), 20, "img");
  progress.section("epoch 1", 0, 10);
  screen.now += 1;
  progress.update(10);
  EXPECT_DOUBLE_EQ(progress.rate(), 10);
  screen.now += 100;
  progress.section("epoch 2", 10, 20);
  screen.now += 1;
  progress.update(15);
  EXPECT_DOUBLE_EQ(progress.rate(), 5);
}

TEST(Progress, RedrawsAtMostTenTimesASecond) {
  Screen screen;
  Progress progress(screen.options(ProgressMode::kBar, kTty), 10000, "img");
  for (int i = 1; i <= 1000; ++i) {
    screen.now += 0.001;
    progress.update(i);
  }
  const auto redraws = std::count(screen.text.begin(), screen.text.end(), '\r');
  EXPECT_GE(redraws, 9);
  EXPECT_LE(redraws, 11);
}

TEST(Progress, PlainPrintsOneLinePerTenPercent) {
  Screen screen;
  {
    Progress progress(screen.options(ProgressMode::kAuto, Terminal{}), 95, "img");
    for (int i = 1; i <= 95; ++i) {
      screen.now += 1;
      progress.update(i, "loss 1");
    }
  }
  EXPECT_EQ(std::count(screen.text.begin(), screen.text.end(), '\n'), 10);
  EXPECT_EQ(screen.text.substr(0, screen.text.find('\n')), "10 %  1 img/s  loss 1  85 s left");
  EXPECT_EQ(screen.text.find('\r'), std::string::npos);
}

TEST(Progress, ResumedWorkIsDoneButNotCountedInTheRate) {
  Screen screen;
  Progress progress(screen.options(ProgressMode::kPlain, Terminal{}), 100, "img");
  progress.start_at(55);
  screen.now += 5;
  progress.update(60);
  EXPECT_EQ(screen.text, "60 %  1 img/s  40 s left\n");
}

TEST(Progress, NarrowTerminalsAndDumbOnes) {
  Screen screen;
  Progress narrow(screen.options(ProgressMode::kBar, Terminal{.is_terminal = true, .columns = 20}), 10, "img");
  narrow.section("epoch 1", 0, 10);
  screen.now += 1;
  narrow.update(5, "loss 1.3");
  EXPECT_LE(display_width(screen.last_line()), 19);
  Screen dumb;
  Progress lines(dumb.options(ProgressMode::kAuto, Terminal{.is_terminal = true, .is_dumb = true}), 10, "img");
  lines.update(1);
  EXPECT_EQ(dumb.text, "10 %\n");
  Screen none;
  Progress silent(none.options(ProgressMode::kNone, kTty), 10, "img");
  silent.update(10);
  silent.clear();
  EXPECT_EQ(none.text, "");
  EXPECT_FALSE(silent.visible());
}

TEST(Progress, ShortWorkShowsNothing) {
  Screen screen;
  ProgressOptions options = screen.options(ProgressMode::kPlain, Terminal{});
  options.delay = 1;
  Progress progress(options, 4, "files");
  for (int i = 1; i <= 4; ++i) {
    screen.now += 0.4;
    progress.update(i);
  }
  EXPECT_EQ(screen.text.substr(0, 4), "70 %");
  EXPECT_EQ(std::count(screen.text.begin(), screen.text.end(), '\n'), 2);
}

TEST(Progress, AnEmptyTotalIsComplete) {
  EXPECT_EQ(bar(0, 0, 3, Style(Terminal{.utf8 = true})), "━━━");
  EXPECT_EQ(bar(9, 3, 3, Style(Terminal{.utf8 = true})), "━━━");
}

}  // namespace
}  // namespace convoy::report
