#include "report/report.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include <volley/recipe.hpp>

#include "support/error_text.hpp"
#include "support/toy_run.hpp"

namespace volley::report {
namespace {

using test::expect_has;

RunRecord record(std::size_t epochs, const std::vector<std::string>& settings = {}) {
  RunRecord run{.folder = "runs/toy", .recipe = test::toy_recipe(settings)};
  for (std::size_t e = 1; e <= epochs; ++e) {
    const auto x = static_cast<double>(e);
    run.epochs.push_back(
        {.epoch = e, .train_loss = 1 / x, .train_acc = 0.5, .test_loss = 2 / x, .test_acc = 0.25 * x});
    run.iterations.push_back({.iteration = e, .loss = 1 / x, .batch_acc = 0.5, .grad_norm = x});
  }
  return run;
}

/// Of a network that takes every picture for class 0.
Tested tested(std::size_t classes = 3) {
  Tested result{.data = test::toy_split().test, .epoch = 2};
  while (result.data.classes.size() < classes) result.data.classes.push_back("more");
  const std::size_t N = result.data.size();
  result.evaluation.scores.resize({N, classes});
  result.evaluation.scores.zero();
  result.evaluation.predictions.assign(N, 0);
  for (std::size_t n = 0; n < N; ++n) result.evaluation.scores.data()[n * classes] = static_cast<float>(n);
  result.classes = class_report(result.evaluation, result.data);
  return result;
}

void expect_page(const std::string& page) {
  EXPECT_TRUE(page.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"));
  expect_has(page, "default-src &#39;none&#39;");
  EXPECT_EQ(page.find("http://"), page.find("http://www.w3.org/2000/svg"));
  EXPECT_EQ(page.find("https://"), std::string::npos);
  for (const char* tag :
       {"html", "head", "body", "main", "nav", "section", "figure", "table", "svg", "div", "ul", "li"}) {
    const auto count = [&](const std::string& part) {
      std::size_t found = 0;
      for (std::size_t at = page.find(part); at != std::string::npos; at = page.find(part, at + 1)) ++found;
      return found;
    };
    const std::string name = tag;
    EXPECT_EQ(count("<" + name + ">") + count("<" + name + " "), count("</" + name + ">")) << tag;
  }
}

TEST(ReportPage, SaysWhatTheRunDid) {
  const std::string page = run_page({.run = record(3), .commands = {{"Again:", "volley train x"}}});
  expect_page(page);
  expect_has(page, "<dd>75.00 %<small>epoch 3, chosen on the test set, so too high");
  expect_has(page, "3 of 3");
  expect_has(page, "3 iterations");
  EXPECT_EQ(page.find("Loss of each step"), std::string::npos);  // steps are those of time
  expect_has(page, "volley train x");
  expect_has(page, "kind = &quot;linear&quot;");
  for (const char* id : {"curves", "machine", "commands", "recipe"})
    expect_has(page, std::string("<section id=\"") + id + "\"");
}

TEST(ReportPage, OfARunWithoutAnEpochSaysSo) {
  const std::string page = run_page({.run = record(0), .missing = {"no epoch of this run was finished"}});
  expect_page(page);
  expect_has(page, "Missing here: no epoch of this run was finished");
  expect_has(page, "0 of 3");
  expect_has(page, "Nothing to draw");
  EXPECT_EQ(page.find("<section id=\"examples\""), std::string::npos);
}

TEST(ReportPage, NoStringOfAFileIsMoreThanText) {
  const std::string hostile = "<script>alert(\"'&</script>";
  Report report{.run = record(2), .tested = tested(), .missing = {hostile}, .commands = {{hostile, hostile}}};
  report.run.folder = hostile;
  report.run.recipe.name = report.run.recipe.description = report.run.recipe.data = hostile;
  for (std::string* text :
       {&report.run.environment.cpu, &report.run.environment.version, &report.run.environment.compiler,
        &report.run.environment.date, &report.run.environment.simd_target})
    *text = hostile;
  report.run.epochs[0].activity =
      report.run.epochs[1].activity = {{.layer = hostile, .kind = hostile, .neurons = 4, .dense_macs = 1}};
  for (std::string& name : report.tested->data.classes) name = hostile;
  report.tested->data.name = hostile;
  const std::string page = run_page(report);
  expect_page(page);
  EXPECT_EQ(page.find("<script>"), page.rfind("<script>")) << "one, its own";
  EXPECT_EQ(page.find("alert(\""), std::string::npos);
  const std::string compared = comparison_page({report.run, report.run}, report.commands);
  expect_page(compared);
  EXPECT_EQ(compared.find("<script>"), compared.rfind("<script>"));
}

TEST(ReportPage, HasAMatrixOfFewClassesAndTheMistakesOfMany) {
  const std::string few = run_page({.run = record(2), .tested = tested()});
  expect_has(few, "<table class=\"confusion\">");
  expect_has(few, "--share: 1.000");
  const std::string many = run_page({.run = record(2), .tested = tested(40)});
  EXPECT_EQ(many.find("<table class=\"confusion\">"), std::string::npos);
  expect_has(many, "The most frequent mistakes");
}

TEST(ReportPage, MistakesHaveTheColoursAndAClassWithoutPicturesADash) {
  Tested result = tested();
  result.classes.confusion = {{990, 10, 0}, {2, 998, 0}, {0, 0, 0}};
  result.classes.accuracy[2] = result.classes.rate[2] = NAN;
  const std::string page = run_page({.run = record(2), .tested = result});
  expect_has(page, "<td class=\"right\" style=\"--share: 0.000\">990</td>");
  expect_has(page, "<td class=\"\" style=\"--share: 1.000\">10</td>");
  expect_has(page, "<td class=\"\" style=\"--share: 0.200\">2</td>");
  expect_has(page, "<td style=\"--share: 0\">-</td>\n<td style=\"--share: 0\">-</td>");
  EXPECT_EQ(page.find("nan"), std::string::npos);
}

TEST(ReportPage, LayersAreOfTheEpochOfTheTest) {
  Report report{.run = record(3), .tested = tested()};
  for (EpochRecord& epoch : report.run.epochs) {
    epoch.test_acc = epoch.epoch == 2 ? 0.9 : 0.1;
    epoch.activity = {
        {.layer = "2", .kind = "lif", .neurons = 4, .rate = 0.1 * static_cast<double>(epoch.epoch)}};
  }
  const std::string page = run_page(report);
  expect_has(page, "What the layers did on the test set after epoch 2, the best");
  expect_has(page, "<td>20.00 %</td>");
}

TEST(ReportPage, AWideTableSaysThatItGoesOn) {
  const std::string page = run_page({.run = record(2), .tested = tested()});
  expect_has(page, "no-repeat scroll");  // the shadow at its edges
}

TEST(WorthALook, AreRightOnesOfEachClassAndTheSurestMistakes) {
  const Tested all_zero = tested();
  const auto& labels = all_zero.data.labels;
  const std::vector<std::size_t> chosen = worth_a_look(all_zero.evaluation, all_zero.data, 2, 3);
  ASSERT_EQ(chosen.size(), 4u);  // class 0 alone is ever right
  EXPECT_EQ(labels[chosen[0]], 0u);
  for (std::size_t i = 1; i < 4; ++i) EXPECT_NE(labels[chosen[i]], 0u);
  EXPECT_GT(chosen[1], chosen[2]);  // the score of class 0 rises from sample to sample
  EXPECT_GT(chosen[2], chosen[3]);
}

TEST(ComparisonPage, NamesEveryFieldThatDiffersAndNoOther) {
  const std::string page =
      comparison_page({record(3), record(2, {"optimizer.lr=0.5"}), record(1, {"training.steps=9"})}, {});
  expect_page(page);
  expect_has(page, "3 runs compared");
  expect_has(page, "optimizer.lr");
  expect_has(page, "training.steps");
  EXPECT_EQ(page.find("training.batch"), std::string::npos);
  expect_has(comparison_page({record(1), record(2)}, {}), "The recipes are the same in every field.");
}

/// A run of these test accuracies.
RunRecord with_accuracies(std::uint32_t seed, const std::vector<double>& test_accs) {
  RunRecord run = record(test_accs.size(), {fmt::format("training.seed={}", seed)});
  for (std::size_t i = 0; i < test_accs.size(); ++i) run.epochs[i].test_acc = test_accs[i];
  return run;
}

TEST(SeedsPage, HasTheMeanAndTheSpreadOfASample) {
  const std::string page = seeds_page({with_accuracies(4, {0.1, 0.5, 0.4}), with_accuracies(5, {0.2, 0.3}),
                                       with_accuracies(6, {0.3, 0.7, 0.4})},
                                      {{"This page:", "volley report x"}});
  expect_page(page);
  expect_has(page, "toy: seeds 4, 5, 6");
  expect_has(page, "of 3 seeds");
  // Best 0.5, 0.3, 0.7; last 0.4, 0.3, 0.4; of epoch 1: 0.1, 0.2, 0.3.
  expect_has(page, "<td>50.00 % \u00b1 20.00</td>");
  expect_has(page, "<td>36.67 % \u00b1 5.77</td>");
  expect_has(page, "<td>20.00 % \u00b1 10.00</td>");
  expect_has(page, "<th scope=\"row\">2</th>");
  EXPECT_EQ(page.find("<th scope=\"row\">3</th>"), std::string::npos) << "one run has no third epoch";
  expect_has(page, "class=\"band s1\"");
  expect_has(page, "training.seed");
  const std::string one = seeds_page({with_accuracies(4, {0.5})}, {});
  expect_page(one);
  EXPECT_EQ(one.find("nan"), std::string::npos);
  expect_page(seeds_page({record(0), record(0)}, {}));
  EXPECT_EQ(test::error_text([] { seeds_page({}, {}); }),
            "[report] a comparison must have 1 or more runs, got 0");
}

TEST(ComparisonPage, DrawsARunWithoutAnEpochBesideOthers) {
  expect_page(comparison_page({record(0), record(2)}, {}));
  expect_has(comparison_page({record(0), record(0)}, {}), "Nothing to draw");
}

}  // namespace
}  // namespace volley::report
