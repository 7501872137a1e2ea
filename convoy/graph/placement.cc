#include "convoy/graph/placement.h"

#include <algorithm>
#include <climits>
#include <numeric>

#include "convoy/core/workspace.h"

namespace convoy::graph {
namespace {

constexpr int32_t kForever = INT32_MAX;

// A value's bytes as runs of bytes that some node (or the caller) really wrote: equal runs are equal bytes.
struct Run {
  int32_t source;
  int64_t at, length;
};

// Values in one block of memory.
struct Block {
  std::vector<ValueId> values;
  int64_t low = 0, high = 0;
  ValueId given = kNoValue;   // a graph input or constant: read only
  ValueId result = kNoValue;  // a graph output
};

class Placer {
 public:
  Placer(const Graph& graph, const std::vector<KnownType>& types, const std::vector<StepPlan>& plans)
      : graph_(graph),
        types_(types),
        plans_(plans),
        made_(graph.values.size(), -1),
        last_(graph.values.size(), -1),
        block_of_(graph.values.size()),
        input_(graph.values.size(), 0),
        output_(graph.values.size(), 0),
        offset_(graph.values.size(), 0),
        runs_(graph.values.size()) {
    for (const ValueId id : graph.inputs) input_[static_cast<size_t>(id)] = 1;
    for (const ValueId id : graph.outputs) output_[static_cast<size_t>(id)] = 1;
    find_lives();
    find_runs();
    for (size_t v = 0; v < graph.values.size(); ++v) {
      block_of_[v] = static_cast<int32_t>(v);
      const auto id = static_cast<ValueId>(v);
      Block block{{id}, 0, types[v].bytes};
      if (graph.value(id).is_constant() || input_[v] != 0) {
        block.given = id;
      } else if (output_[v] != 0) {
        block.result = id;
      }
      blocks_.push_back(std::move(block));
    }
  }

  Placement run() {
    share();
    return assign();
  }

 private:
  int64_t bytes(ValueId id) const { return types_[static_cast<size_t>(id)].bytes; }

  void find_lives() {
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      const Node& node = graph_.nodes[i];
      const auto at = static_cast<int32_t>(i);
      for (const ValueId id : node.inputs) {
        if (id != kNoValue) last_[static_cast<size_t>(id)] = at;
      }
      for (const ValueId id : node.outputs) {
        if (id != kNoValue) made_[static_cast<size_t>(id)] = last_[static_cast<size_t>(id)] = at;
      }
    }
    for (const ValueId id : graph_.outputs) last_[static_cast<size_t>(id)] = kForever;
  }

  // Cuts [at, at + length) out of a value's runs and appends it.
  void append_runs(ValueId from, int64_t at, int64_t length, std::vector<Run>& to) const {
    int64_t begin = 0;
    for (const Run& run : runs_[static_cast<size_t>(from)]) {
      const int64_t low = std::max(at, begin), high = std::min(at + length, begin + run.length);
      if (low < high) {
        const Run piece{run.source, run.at + low - begin, high - low};
        if (!to.empty() && to.back().source == piece.source && to.back().at + to.back().length == piece.at) {
          to.back().length += piece.length;
        } else {
          to.push_back(piece);
        }
      }
      begin += run.length;
    }
  }

  void find_runs() {
    // Pieces of pieces multiply: beyond so many, of a value and of all together, one counts as what its node writes, and is copied.
    constexpr size_t kMostRuns = 4096, kMostRunsOfAll = size_t{1} << 20;
    size_t all = runs_.size();
    for (size_t v = 0; v < runs_.size(); ++v) runs_[v] = {{static_cast<int32_t>(v), 0, types_[v].bytes}};
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      const Node& node = graph_.nodes[i];
      std::vector<View> views = plans_[i].views;
      std::sort(views.begin(), views.end(), [](const View& a, const View& b) {
        return std::pair(a.output, a.output_offset) < std::pair(b.output, b.output_offset);
      });
      for (size_t k = 0; k < node.outputs.size(); ++k) {
        const ValueId out = node.outputs[k];
        std::vector<Run> runs;
        for (const View& view : views) {
          if (runs.size() > kMostRuns) break;
          if (view.output == k && out != kNoValue) append_runs(node.inputs[view.input], view.input_offset, view.bytes, runs);
        }
        if (runs.empty() || runs.size() > std::min(kMostRuns, kMostRunsOfAll - std::min(all, kMostRunsOfAll))) continue;
        all += runs.size();
        runs_[static_cast<size_t>(out)] = std::move(runs);
      }
    }
  }

  // Whether [at_p, +length) of p holds the same bytes as [at_q, +length) of q.
  bool equal_bytes(ValueId p, int64_t at_p, ValueId q, int64_t at_q, int64_t length) const {
    std::vector<Run> a, b;
    append_runs(p, at_p, length, a);
    append_runs(q, at_q, length, b);
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](const Run& x, const Run& y) { return x.source == y.source && x.at == y.at && x.length == y.length; });
  }

  // Whether `next`, made in the node that last reads `before`, may overwrite it.
  bool may_replace(ValueId before, ValueId next) const {
    const int32_t at = made_[static_cast<size_t>(next)];
    if (at < 0) return false;
    const Node& node = graph_.nodes[static_cast<size_t>(at)];
    if (node.output(0) != next || bytes(before) != bytes(next)) return false;
    bool reads = false;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (node.inputs[i] != before) continue;
      const auto& allowed = plans_[static_cast<size_t>(at)].in_place;
      if (std::find(allowed.begin(), allowed.end(), static_cast<uint8_t>(i)) == allowed.end()) return false;
      reads = true;
    }
    return reads;
  }

  // p at offset p_at and q at q_at of one block: can both have their bytes whenever they are alive?
  bool compatible(ValueId p, int64_t p_at, ValueId q, int64_t q_at) const {
    const int64_t low = std::max(p_at, q_at), high = std::min(p_at + bytes(p), q_at + bytes(q));
    if (low >= high) return true;
    const auto made = [&](ValueId id) { return made_[static_cast<size_t>(id)]; };
    const auto last = [&](ValueId id) { return last_[static_cast<size_t>(id)]; };
    if (last(p) < made(q) || last(q) < made(p)) return true;
    if (p_at == q_at && last(p) == made(q) && may_replace(p, q)) return true;
    if (p_at == q_at && last(q) == made(p) && may_replace(q, p)) return true;
    return equal_bytes(p, low - p_at, q, low - q_at, high - low);
  }

  // Tries to put p at `offset` bytes from q, moving p's whole block.
  bool join(ValueId p, ValueId q, int64_t offset) {
    const int32_t from = block_of_[static_cast<size_t>(p)], to = block_of_[static_cast<size_t>(q)];
    const int64_t shift = offset_[static_cast<size_t>(q)] + offset - offset_[static_cast<size_t>(p)];
    if (from == to) return shift == 0;
    Block &a = blocks_[static_cast<size_t>(from)], &b = blocks_[static_cast<size_t>(to)];
    if ((a.result != kNoValue && b.result != kNoValue) || (a.given != kNoValue && b.given != kNoValue)) return false;
    const ValueId given = a.given != kNoValue ? a.given : b.given, result = a.result != kNoValue ? a.result : b.result;
    if (given != kNoValue && result != kNoValue) return false;
    const int64_t low = std::min(a.low + shift, b.low), high = std::max(a.high + shift, b.high);
    const ValueId fixed = given != kNoValue ? given : result;
    if (fixed != kNoValue && high - low != bytes(fixed)) return false;
    for (const ValueId x : a.values) {
      const int64_t at = offset_[static_cast<size_t>(x)] + shift;
      for (const ValueId y : b.values) {
        // What the caller owns is never written: everything in it must be a view of it.
        if (given != kNoValue && (x == given || y == given)) {
          const int64_t y_at = offset_[static_cast<size_t>(y)], first = std::max(at, y_at);
          const int64_t length = std::min(at + bytes(x), y_at + bytes(y)) - first;
          if (length != std::min(bytes(x), bytes(y)) || !equal_bytes(x, first - at, y, first - y_at, length)) return false;
        } else if (!compatible(x, at, y, offset_[static_cast<size_t>(y)])) {
          return false;
        }
      }
    }
    for (const ValueId x : a.values) {
      offset_[static_cast<size_t>(x)] += shift;
      block_of_[static_cast<size_t>(x)] = to;
      b.values.push_back(x);
    }
    b.low = low;
    b.high = high;
    b.given = given;
    b.result = result;
    a = {};
    return true;
  }

  void share() {
    // Concatenations first, the largest first, so that smaller ones come to lie inside it.
    std::vector<size_t> joined;
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      if (!plans_[i].views.empty()) joined.push_back(i);
    }
    std::stable_sort(joined.begin(), joined.end(), [&](size_t a, size_t b) { return weight(a) > weight(b); });
    for (const size_t i : joined) {
      const Node& node = graph_.nodes[i];
      for (const View& view : plans_[i].views) {
        const ValueId in = node.inputs[view.input], out = node.output(view.output);
        if (out == kNoValue || view.bytes == 0) continue;
        join(in, out, view.output_offset - view.input_offset);
      }
    }
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      const Node& node = graph_.nodes[i];
      for (const uint8_t input : plans_[i].in_place) {
        const ValueId in = node.input(input), out = node.output(0);
        if (in != kNoValue && out != kNoValue && bytes(in) == bytes(out) &&
            last_[static_cast<size_t>(in)] == static_cast<int32_t>(i) && join(in, out, 0)) {
          break;
        }
      }
    }
  }

  int64_t weight(size_t node) const {
    int64_t most = 0;
    if (graph_.nodes[node].inputs.size() < 2) return 0;
    for (const ValueId id : graph_.nodes[node].outputs) {
      if (id != kNoValue) most = std::max(most, bytes(id));
    }
    return most;
  }

  // First the largest blocks, each into the smallest gap that is free for as long as it lives.
  Placement assign() {
    Placement result;
    result.places.resize(graph_.values.size());
    struct Piece {
      int32_t block;
      int32_t from, to;
      int64_t size, at;
    };
    std::vector<Piece> pieces;
    for (size_t b = 0; b < blocks_.size(); ++b) {
      const Block& block = blocks_[b];
      if (block.values.empty() || block.given != kNoValue || block.result != kNoValue) continue;
      Piece piece{static_cast<int32_t>(b), kForever, -1,
                  static_cast<int64_t>(padded_bytes(static_cast<size_t>(block.high - block.low))), 0};
      for (const ValueId id : block.values) {
        if (made_[static_cast<size_t>(id)] < 0) continue;
        piece.from = std::min(piece.from, made_[static_cast<size_t>(id)]);
        piece.to = std::max(piece.to, last_[static_cast<size_t>(id)]);
      }
      if (piece.from <= piece.to && piece.size > 0) pieces.push_back(piece);
    }
    std::stable_sort(pieces.begin(), pieces.end(), [](const Piece& a, const Piece& b) { return a.size > b.size; });
    std::vector<int64_t> block_at(blocks_.size(), 0);
    std::vector<const Piece*> placed, meeting;
    for (Piece& piece : pieces) {
      meeting.clear();
      for (const Piece* other : placed) {
        if (other->from <= piece.to && piece.from <= other->to) meeting.push_back(other);
      }
      std::sort(meeting.begin(), meeting.end(), [](const Piece* a, const Piece* b) { return a->at < b->at; });
      int64_t at = 0, best = -1, best_gap = INT64_MAX;
      for (const Piece* other : meeting) {
        const int64_t gap = other->at - at;
        if (gap >= piece.size && gap < best_gap) {
          best = at;
          best_gap = gap;
        }
        at = std::max(at, other->at + other->size);
      }
      piece.at = best >= 0 ? best : at;
      placed.push_back(&piece);
      block_at[static_cast<size_t>(piece.block)] = piece.at;
      result.arena_bytes = std::max(result.arena_bytes, piece.at + piece.size);
    }

    for (size_t v = 0; v < graph_.values.size(); ++v) {
      const Block& block = blocks_[static_cast<size_t>(block_of_[v])];
      Place& place = result.places[v];
      place.offset = offset_[v] - block.low;
      if (block.given != kNoValue) {
        const auto input = std::find(graph_.inputs.begin(), graph_.inputs.end(), block.given);
        const bool constant = graph_.value(block.given).is_constant() && input == graph_.inputs.end();
        place.region = constant ? Region::kConstant : Region::kInput;
        place.index = constant ? block.given : static_cast<int32_t>(input - graph_.inputs.begin());
      } else if (block.result != kNoValue) {
        place.region = Region::kOutput;
        place.index =
            static_cast<int32_t>(std::find(graph_.outputs.begin(), graph_.outputs.end(), block.result) - graph_.outputs.begin());
      } else if (made_[v] >= 0) {
        place.region = Region::kArena;
        place.offset += block_at[static_cast<size_t>(block_of_[v])];
      }
    }

    std::vector<int64_t> change(graph_.nodes.size() + 1, 0);
    for (size_t v = 0; v < graph_.values.size(); ++v) {
      if (made_[v] < 0 || last_[v] == kForever) continue;
      change[static_cast<size_t>(made_[v])] += types_[v].bytes;
      change[static_cast<size_t>(last_[v]) + 1] -= types_[v].bytes;
    }
    int64_t live = 0;
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      live += change[i];
      if (live > result.largest_live_bytes) {
        result.second_live_bytes = result.largest_live_bytes;
        result.largest_live_bytes = live;
      } else {
        result.second_live_bytes = std::max(result.second_live_bytes, live);
      }
    }
    return result;
  }

  const Graph& graph_;
  const std::vector<KnownType>& types_;
  const std::vector<StepPlan>& plans_;
  std::vector<int32_t> made_, last_;  // the node that makes a value (-1: none), and the last that reads it
  std::vector<int32_t> block_of_;
  std::vector<char> input_, output_;  // by value: of the graph
  std::vector<int64_t> offset_;       // in the block, from an origin of its own
  std::vector<std::vector<Run>> runs_;
  std::vector<Block> blocks_;
};

}  // namespace

Placement place_values(const Graph& graph, const std::vector<KnownType>& types, const std::vector<StepPlan>& plans) {
  return Placer(graph, types, plans).run();
}

}  // namespace convoy::graph
