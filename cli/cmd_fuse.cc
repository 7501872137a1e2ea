// convoy fuse [--net FILE] --weights FILE -o OUT [--verify N]
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "cli/command.h"
#include "cli/fuse_model.h"
#include "cli/fusing.h"
#include "cli/interrupt.h"
#include "cli/model_file.h"
#include "cli/network.h"
#include "convoy/core/suggest.h"
#include "convoy/io/safetensors.h"
#include "convoy/nn/linear.h"
#include "convoy/nn/models.h"
#include "convoy/nn/parse.h"
#include "convoy/nn/reparam/branch.h"
#include "convoy/nn/vision_models.h"
#include "convoy/report/format.h"
#include "convoy/report/table.h"

namespace convoy::cli {

namespace {

using report::Json;

struct Options {
  std::optional<std::string> net, weights, out, input, against;
  std::optional<int64_t> verify;
  bool inexact = false, external_data = false;
  std::string model;
};

// Convoy's own networks, then torchvision's.
std::vector<std::string> fusable_names() {
  std::vector<std::string> names = network_names();
  for (const std::string& name : nn::vision_model_names()) names.push_back(name);
  return names;
}

// A torchvision network with as many classes as the file has values for.
std::shared_ptr<nn::Module> vision_model_for(const std::string& name, const std::string& weights) {
  const io::SafeTensors file = io::read_safetensors(weights);
  for (const char* last : {"fc.weight", "classifier.6.weight", "classifier.1.weight"}) {
    if (const Tensor* rows = file.find(last); rows != nullptr && rows->dim() == 2)
      return nn::make_vision_model(name, rows->size(0));
  }
  return nn::make_vision_model(name);
}

std::shared_ptr<nn::Module> network_called(const std::string& name_or_file, const std::string& weights) {
  const auto among = [&](const std::vector<std::string>& names) {
    return std::find(names.begin(), names.end(), name_or_file) != names.end();
  };
  if (among(network_names())) return nn::make_model(name_or_file);
  if (among(nn::vision_model_names())) return vision_model_for(name_or_file, weights);
  std::error_code error;
  if (!std::filesystem::exists(name_or_file, error) && name_or_file.find_first_of("./") == std::string::npos) {
    throw UsageError("unknown network '" + name_or_file + "'" + did_you_mean(name_or_file, fusable_names()),
                     "--net needs " + report::joined(fusable_names(), ", ", " or ") + ", or the path of a network file");
  }
  return nn::parse_file(name_or_file);
}

void declare(CLI::App& app, Options& options) {
  add_text(app, "--weights", options.weights, "FILE",
           "a network saved by 'convoy train', or any safetensors file with a state_dict");
  add_text(app, "--net", options.net, "NET",
           "a network file (what Python's print(model) writes), " + report::joined(fusable_names(), ", ", " or ") +
               "; needed only if the weights do not say it");
  add_text(app, "-o,--out", options.out, "FILE", "where to write the folded network, as safetensors");
  add_integer(
      app, "--verify", options.verify, 1, 1000000,
      "compare both networks on N random inputs, place by place, border and interior apart, and name the cause of a difference");
  add_text(app, "--input", options.input, "SHAPE",
           "one input, as in 3x224x224 (default: what the file says); for --verify, MACs and time");
  app.add_flag(
      "--inexact", options.inexact,
      "also fold a batch normalisation into the zero-padded convolution after it, which changes the outputs near the border");
  app.add_flag("--external-data", options.external_data, "let MODEL read values from other files in its folder");
  app.add_option("MODEL", options.model);
  add_text(app, "--against", options.against, "FILE",
           "verify the folded weights of another program (safetensors; ONNX beside MODEL) instead of Convoy's own; writes nothing");
}

struct Loaded {
  std::shared_ptr<nn::Module> network;
  ModelFile file;
  Shape input_shape;
};

Shape parse_input(const std::string& text) {
  Shape shape;
  const char* at = text.data();
  const char* const end = at + text.size();
  constexpr int64_t kMost = 1 << 24;
  while (at != end) {
    int64_t n = 0;
    const auto [next, error] = std::from_chars(at, end, n);
    const bool separated = next != end && *next == 'x' && next + 1 != end;
    if (error != std::errc() || n < 1 || n > kMost || (next != end && !separated)) {
      throw UsageError("option '--input' needs sizes of one input, got '" + text + "'",
                       "channels, then the spatial axes: --input 3x224x224");
    }
    shape.push_back(n);
    at = next == end ? end : next + 1;
  }
  if (shape.empty()) throw UsageError("option '--input' is empty", "for example --input 3x224x224");
  return shape;
}

void check_against(const Options& options) {
  if (options.against && !options.verify)
    throw UsageError("--against needs --verify N", "how many random inputs to compare on: --verify 100");
  if (options.against && options.out)
    throw UsageError("--against writes nothing", "leave out -o, or leave out --against to write Convoy's own");
}

Loaded load(const Options& options) {
  if (options.external_data)
    throw UsageError("--external-data is for model files", "convoy fuse model.onnx --external-data -o small.onnx");
  if (!options.weights)
    throw UsageError("'convoy fuse' needs --weights",
                     "for example convoy fuse --weights trained.safetensors -o folded.safetensors");
  if (!options.out && !options.verify)
    throw UsageError("'convoy fuse' needs -o FILE or --verify N", "-o writes the folded network, --verify 100 compares it");
  check_against(options);
  Loaded loaded{.file = load_model(*options.weights)};
  if (options.net) {
    loaded.network = network_called(*options.net, *options.weights);
    try {
      nn::load_checkpoint(*options.weights, *loaded.network);
    } catch (const FileError&) {
      throw;
    } catch (const Error& error) {
      throw FileError(*options.weights + ": does not fit the network '" + *options.net + "'\n" + error.reason(), error.fix());
    }
  } else {
    loaded.network = nn::load_network(*options.weights);
  }
  loaded.network->eval();
  if (options.input) {
    loaded.input_shape = parse_input(*options.input);
  } else if (loaded.file.info) {
    loaded.input_shape = loaded.file.info->image_shape;
  } else if (options.verify) {
    throw UsageError("--verify needs the shape of an input, which " + *options.weights + " does not say",
                     "give it, channels first: --input 3x224x224");
  }
  return loaded;
}

// Puts the folded weights of another program into the places of `fused`.
void take_weights(const std::string& path, nn::Fused& fused) {
  const io::SafeTensors file = io::read_safetensors(path);
  const auto find = [&](const nn::FusedPlace& place, const char* value) -> const Tensor* {
    std::vector<std::string> tried;
    std::vector<std::string> names{place.name};
    if (place.fused_name != place.name) names.push_back(place.fused_name);
    for (const std::string& name : names) {
      // As a plain layer, or as the published blocks call theirs after switch_to_deploy().
      for (const char* inner : {"", "fused_conv", "rbr_reparam", "dbb_reparam"}) {
        std::string key = name;
        for (const std::string& part : {std::string(inner), std::string(value)}) {
          if (!part.empty()) key += (key.empty() ? "" : ".") + part;
        }
        if (const Tensor* found = file.find(key)) return found;
        tried.push_back(key);
      }
    }
    throw FileError(path + ": has no " + value + " for " + (place.name.empty() ? place.what : place.name + ", " + place.what),
                    "looked for " + report::joined(tried));
  };
  for (nn::FusedPlace& place : fused.places) {
    nn::Module* layer = place.after.get();
    if (auto* both = dynamic_cast<nn::Sequential*>(layer)) layer = &(*both)[0];
    for (const auto& [name, parameter] : layer->named_parameters()) {
      const Tensor* value = find(place, name.c_str());
      Tensor target = parameter.data();
      if (value->shape() != target.shape()) {
        throw FileError(fmt::format("{}: the {} for {} is {}, it should be {}", path, name, place.name, to_string(value->shape()),
                                    to_string(target.shape())),
                        "its blocks have other kernel sizes or channels than those of the network");
      }
      target.copy_(value->to(target.dtype()));
    }
  }
}

std::string place_name(const std::string& name) { return name.empty() ? "the network" : name; }

void print_places(const nn::Fused& fused, Session& session) {
  report::Table table({{"place"}, {"was"}, {"is"}});
  for (const nn::FusedPlace& place : fused.places) {
    const auto* several = dynamic_cast<const nn::Sequential*>(place.after.get());
    const nn::Module& layer = several != nullptr ? (*several)[0] : *place.after;
    std::string is = layer.type() + "(" + layer.extra_repr() + ")";
    for (size_t i = 1; several != nullptr && i < several->size(); ++i) is += ", " + (*several)[i].type();
    table.add_row({place_name(place.name), place.what + (place.exact ? "" : " (inexact)"), is});
  }
  if (table.rows() > 0) session.print(table.text(session.style()) + "\n");
  for (const nn::KeptPlace& kept : fused.kept) {
    session.print(session.style().cyan("kept") + " " + place_name(kept.name) + ", " + kept.what + ": " + kept.reason + "\n     " +
                  kept.remedy + "\n");
  }
  if (!fused.kept.empty()) session.print("\n");
}

Json agreement_json(const nn::Agreement& agreement) {
  Json places = Json::array();
  for (const nn::PlaceAgreement& p : agreement.places) {
    places.push(Json::object({{"name", p.name},
                              {"interior", p.interior},
                              {"border", p.border},
                              {"largest_output", p.scale},
                              {"border_outputs", p.border_outputs},
                              {"outputs", p.outputs},
                              {"agrees", p.agrees},
                              {"cause", p.cause},
                              {"remedy", p.remedy},
                              {"note", p.note}}));
  }
  return Json::object({{"agrees", agreement.agrees},
                       {"inputs", agreement.inputs},
                       {"largest_difference", agreement.difference},
                       {"largest_output", agreement.scale},
                       {"relative_limit", agreement.limit},
                       {"places", places}});
}

void print_agreement(const nn::Agreement& agreement, Session& session) {
  const report::Style& style = session.style();
  report::Table table({{"place"},
                       {"", report::Align::kLeft},
                       {"interior", report::Align::kRight},
                       {"border", report::Align::kRight},
                       {.title = "largest output", .align = report::Align::kRight, .leaves = 2},
                       {.title = "positions that read padding", .align = report::Align::kRight, .leaves = 1}});
  for (const nn::PlaceAgreement& p : agreement.places) {
    table.add_row({place_name(p.name), style.mark(p.agrees), report::scientific(p.interior),
                   p.border_outputs > 0 ? report::scientific(p.border) : "--",
                   p.scale >= 0.1 ? report::fixed(p.scale, 2) : report::scientific(p.scale),
                   p.outputs > 0 ? fmt::format("{} of {}", report::grouped(p.border_outputs), report::grouped(p.outputs)) : "--"});
  }
  session.print("\n");
  if (table.rows() > 0) session.print(table.text(style) + "\n");
  for (const nn::PlaceAgreement& p : agreement.places) {
    if (!p.note.empty()) session.print("note   " + place_name(p.name) + ": " + p.note + "\n");
    if (!p.cause.empty())
      session.print(style.red("cause") + "  " + place_name(p.name) + ": " + p.cause + "\n" + "remedy " + p.remedy + "\n");
  }
  session.print(fmt::format("{} {} on {}: largest difference {} of outputs up to {}\n", style.mark(agreement.agrees),
                            agreement.agrees ? "the same answers" : "other answers",
                            report::counted(agreement.inputs, "random input"), report::scientific(agreement.difference),
                            agreement.scale >= 0.1 ? report::fixed(agreement.scale, 2) : report::scientific(agreement.scale)));
}

int run(const Options& options, Session& session) {
  if (!options.model.empty()) {
    if (options.net || options.weights || options.inexact)
      throw UsageError("a model file says everything itself: it takes -o, --verify, --input, --against and --external-data alone",
                       "for example convoy fuse model.onnx -o small.onnx --verify 10");
    check_against(options);
    return fuse_model({.model = options.model,
                       .out = options.out,
                       .against = options.against,
                       .verify = options.verify,
                       .external_data = options.external_data,
                       .input = options.input ? parse_input(*options.input) : Shape()},
                      session);
  }
  const Loaded loaded = load(options);
  if (options.out) check_writable(*options.out);
  nn::Fused fused = nn::fuse(loaded.network, {.inexact = options.inexact});
  if (options.against) take_weights(*options.against, fused);

  NetworkCost before = network_cost(*loaded.network, loaded.input_shape), after = network_cost(*fused.module, loaded.input_shape);
  constexpr double kTiming = 0.6;
  if (!loaded.input_shape.empty()) time_networks(*loaded.network, *fused.module, loaded.input_shape, kTiming, before, after);
  print_places(fused, session);
  if (fused.places.empty()) session.print("nothing to fold here: the network stays as it is\n\n");
  session.print(cost_table(before, after, loaded.input_shape, session.style(), 0));
  if (loaded.input_shape.empty())
    session.print("MACs and time depend on the size of an input: give it, channels first, as in --input 3x224x224\n");

  Json document = Json::object({{"schema", "convoy.fuse/1"}, {"before", cost_json(before)}, {"after", cost_json(after)}});
  Json places = Json::array(), kept = Json::array();
  for (const nn::FusedPlace& p : fused.places)
    places.push(Json::object({{"name", p.name}, {"fused_name", p.fused_name}, {"was", p.what}, {"exact", p.exact}}));
  for (const nn::KeptPlace& k : fused.kept)
    kept.push(Json::object({{"name", k.name}, {"layer", k.what}, {"reason", k.reason}, {"remedy", k.remedy}}));
  document.set("places", places).set("kept", kept);

  bool agrees = true;
  if (options.verify) {
    Generator generator(1);
    const nn::ForwardHook stop(
        [](nn::Module&, const Variable&, const Variable&) { stop_if_asked("while comparing; nothing was written"); });
    const nn::Agreement agreement = nn::verify(*loaded.network, fused, loaded.input_shape, *options.verify, &generator);
    agrees = agreement.agrees;
    print_agreement(agreement, session);
    document.set("verified", agreement_json(agreement));
  }
  std::optional<std::string> written;
  if (options.out && (agrees || options.inexact)) {
    save_model(*options.out, *fused.module, {.info = loaded.file.info});
    written = options.out;
    session.print("\nwrote " + with_size(*written) + "\n");
  } else if (options.out) {
    session.print("\nnothing was written: the folded network differs\n");
  }
  session.document(document.set("written", written ? Json(*written) : Json()));
  return agrees ? kOk : kCheckFailed;
}

}  // namespace

Command fuse_command() {
  return make_command<Options>(
      {.name = "fuse",
       .arguments = "[MODEL.onnx | --weights FILE] -o OUT",
       .summary = "fold batch normalisation and parallel branches into one convolution each, and prove it",
       .examples = {"convoy fuse model.onnx -o small.onnx --verify 10",
                    "convoy fuse --weights trained.safetensors -o folded.safetensors --verify 100",
                    "convoy fuse --net repvgg.txt --weights repvgg.safetensors --input 3x224x224 -o folded.safetensors",
                    "convoy fuse --weights trained.safetensors --verify 100 --against deployed.safetensors"}},
      declare, run);
}

}  // namespace convoy::cli
