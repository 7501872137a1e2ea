// Every shape is a signed distance: negative inside, in units of the shape's radius. A pixel's share of the shape follows from the
// distance at its centre, which is a good and cheap antialiasing. No function of libm but sqrt is used, as their last bits differ
// between machines.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>

#include "convoy/core/error.h"
#include "convoy/core/parallel.h"
#include "convoy/core/raise.h"
#include "convoy/core/random.h"
#include "convoy/data/dataset.h"
#include "convoy/data/seed.h"

namespace convoy::data {

namespace {

struct Point {
  double x, y;
};

Point operator-(Point a, Point b) { return {a.x - b.x, a.y - b.y}; }
Point operator*(double s, Point a) { return {s * a.x, s * a.y}; }
double dot(Point a, Point b) { return a.x * b.x + a.y * b.y; }
double length(Point a) { return std::sqrt(dot(a, a)); }

double disc(Point p, Point centre, double radius) { return length(p - centre) - radius; }

double box(Point p, Point centre, double half_width, double half_height) {
  const Point q = p - centre;
  return std::max(std::fabs(q.x) - half_width, std::fabs(q.y) - half_height);
}

// Distance to the nearest edge, negative if the polygon winds around p.
double polygon(Point p, std::span<const Point> corners) {
  double nearest = dot(p - corners[0], p - corners[0]);
  bool inside = false;
  for (size_t i = 0, j = corners.size() - 1; i < corners.size(); j = i++) {
    const Point a = corners[i], b = corners[j];
    const Point edge = b - a, from = p - a;
    const double along = std::clamp(dot(from, edge) / dot(edge, edge), 0.0, 1.0);
    const Point gap = from - along * edge;
    nearest = std::min(nearest, dot(gap, gap));
    if ((a.y > p.y) != (b.y > p.y) && p.x < a.x + (p.y - a.y) / (b.y - a.y) * (b.x - a.x)) inside = !inside;
  }
  return inside ? -std::sqrt(nearest) : std::sqrt(nearest);
}

double circle(Point p) { return disc(p, {0, 0}, 0.86); }
double ring(Point p) { return std::fabs(length(p) - 0.72) - 0.2; }
double square(Point p) { return box(p, {0, 0}, 0.72, 0.72); }

double triangle(Point p) {
  static constexpr std::array<Point, 3> kCorners = {{{0, 1.05}, {-0.909, -0.525}, {0.909, -0.525}}};
  return polygon(p, kCorners);
}

double plus(Point p) { return std::min(box(p, {0, 0}, 0.95, 0.27), box(p, {0, 0}, 0.27, 0.95)); }

// Corners at radius 1.05 and 0.42, every 36 degrees.
double star(Point p) {
  static constexpr std::array<Point, 10> kCorners = {{{0, 1.05},
                                                      {0.24687, 0.33979},
                                                      {0.99861, 0.32447},
                                                      {0.39944, -0.12979},
                                                      {0.61717, -0.84947},
                                                      {0, -0.42},
                                                      {-0.61717, -0.84947},
                                                      {-0.39944, -0.12979},
                                                      {-0.99861, 0.32447},
                                                      {-0.24687, 0.33979}}};
  return polygon(p, kCorners);
}

double moon(Point p) { return std::max(disc(p, {0, 0}, 0.98), -disc(p, {0.52, 0}, 0.76)); }

// Two discs, and the area between their centres, the tip and the points where lines from the tip touch them.
double heart(Point p) {
  static constexpr std::array<Point, 5> kCorners = {
      {{0, 1}, {-0.83191, 0.07419}, {-0.46, -0.26}, {0.46, -0.26}, {0.83191, 0.07419}}};
  return std::min({polygon(p, kCorners), disc(p, {-0.46, -0.26}, 0.5), disc(p, {0.46, -0.26}, 0.5)});
}

double arrow(Point p) {
  static constexpr std::array<Point, 7> kCorners = {
      {{1.05, 0}, {0.2, 0.8}, {0.2, 0.27}, {-0.95, 0.27}, {-0.95, -0.27}, {0.2, -0.27}, {0.2, -0.8}}};
  return polygon(p, kCorners);
}

double bars(Point p) { return std::min({box(p, {0, -0.64}, 0.9, 0.18), box(p, {0, 0}, 0.9, 0.18), box(p, {0, 0.64}, 0.9, 0.18)}); }

struct Kind {
  const char* name;
  double (*distance)(Point);
};
constexpr std::array<Kind, 10> kKinds = {{{"circle", circle},
                                          {"ring", ring},
                                          {"square", square},
                                          {"triangle", triangle},
                                          {"plus", plus},
                                          {"star", star},
                                          {"moon", moon},
                                          {"heart", heart},
                                          {"arrow", arrow},
                                          {"bars", bars}}};

// How one image is drawn; lengths in units of the image's side.
struct Drawing {
  Point centre, direction;
  double radius, background, slope_x, slope_y, contrast, noise;
};

// A direction without sine and cosine: a point of the unit disc, brought to length 1.
Point random_direction(Generator& g) {
  for (;;) {
    const Point p = {g.uniform_double(-1, 1), g.uniform_double(-1, 1)};
    const double square_length = dot(p, p);
    if (square_length > 0.01 && square_length <= 1) return 1 / std::sqrt(square_length) * p;
  }
}

Drawing random_drawing(Generator& g) {
  Drawing d{};
  d.direction = random_direction(g);
  d.radius = g.uniform_double(0.28, 0.4);
  const double reach = 0.5 - d.radius + 0.03;  // a corner may touch the border
  d.centre.x = 0.5 + g.uniform_double(-reach, reach);
  d.centre.y = 0.5 + g.uniform_double(-reach, reach);
  d.contrast = g.uniform_double(0.45, 0.8);
  d.background = g.uniform_double(0.06, 0.95 - d.contrast);
  d.slope_x = g.uniform_double(-0.1, 0.1);
  d.slope_y = g.uniform_double(-0.1, 0.1);
  d.noise = g.uniform_double(0.01, 0.04);
  return d;
}

// Replaces the noise in `pixels` by the drawing.
void draw(const Drawing& d, double (*distance)(Point), int64_t size, float* pixels) {
  const double side = static_cast<double>(size);
  const double radius_in_pixels = d.radius * side;
  for (int64_t row = 0; row < size; ++row) {
    for (int64_t column = 0; column < size; ++column) {
      const Point at = {(static_cast<double>(column) + 0.5) / side, (static_cast<double>(row) + 0.5) / side};
      const Point from = 1 / d.radius * (at - d.centre);
      const Point turned = {dot(from, d.direction), from.y * d.direction.x - from.x * d.direction.y};
      const double inside = std::clamp(0.5 - distance(turned) * radius_in_pixels, 0.0, 1.0);
      float& pixel = pixels[row * size + column];
      const double value = d.background + d.slope_x * (at.x - 0.5) + d.slope_y * (at.y - 0.5) + d.contrast * inside +
                           d.noise * static_cast<double>(pixel);
      const int level = static_cast<int>(std::clamp(value, 0.0, 1.0) * 255 + 0.5);
      pixel = static_cast<float>(level) / 255.0f;
    }
  }
}

// Nearly normal, variance 1: the sum of the four bytes of one number.
float random_noise(Generator& g) {
  const uint32_t bits = g.next32();
  const auto sum = static_cast<int32_t>((bits & 255u) + ((bits >> 8) & 255u) + ((bits >> 16) & 255u) + (bits >> 24));
  return static_cast<float>(sum - 510) / 147.8f;
}

Dataset draw_set(int64_t count, int64_t size, uint64_t seed) {
  Dataset set;
  for (const Kind& kind : kKinds) set.classes.emplace_back(kind.name);
  set.images = Tensor::empty({count, 1, size, size});
  set.labels = Tensor::empty({count}, DType::kInt64);
  float* pixels = set.images.data<float>();
  int64_t* labels = set.labels.data<int64_t>();
  const int64_t area = size * size;

  // The numbers are drawn one after the other, the pixels at the same time.
  Generator g(seed);
  std::vector<Drawing> drawings(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    labels[i] = i % static_cast<int64_t>(kKinds.size());
    drawings[static_cast<size_t>(i)] = random_drawing(g);
    for (int64_t k = 0; k < area; ++k) pixels[i * area + k] = random_noise(g);
  }
  parallel_for(count, [&](int64_t i) {
    draw(drawings[static_cast<size_t>(i)], kKinds[static_cast<size_t>(labels[i])].distance, size, pixels + i * area);
  });
  return set;
}

}  // namespace

Split drawn_shapes(const ShapesOptions& options) {
  if (options.train < 0 || options.test < 0) {
    raise<ValueError>(
        "drawn_shapes expects counts from 0, but got train={} and test={}\n"
        "0 leaves a part empty",
        options.train, options.test);
  }
  if (options.image_size < 8 || options.image_size > 1024) {
    raise<ValueError>("drawn_shapes expects image_size from 8 to 1024, but got {}\n28 is usual", options.image_size);
  }
  return {draw_set(options.train, options.image_size, stream_seed(options.seed, 0)),
          draw_set(options.test, options.image_size, stream_seed(options.seed, 1))};
}

}  // namespace convoy::data
