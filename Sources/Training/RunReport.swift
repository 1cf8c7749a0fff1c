// `report.html`: what a run did, on one page that needs no network.

import FoundationEssentials
import GraftImages
import GraftTensors

/// A photo that was taken for something else, and where the network looked.
struct Mistake {
    var path: String
    var truth: String
    var prediction: String
    /// How sure the answer was; nil for numbers.
    var probability: Float?
    /// What the network saw of it, and the same under the class activation map.
    var pictures: [Image]
}

enum RunReport {
    static func html(
        _ run: RunDescription, _ metrics: TrainingMetrics, _ history: [EpochRecord],
        part: String, mistakes: [Mistake], note: String
    ) throws -> String {
        let things = run.task.traits.things(run.classes.count)
        let title = "\(run.architecture), \(run.classes.count) \(things)"
        var body = "<h1>\(HTML.escaped(title))</h1>\n"
        if let failure = metrics.failure {
            body += "<p class=failed><b>This run failed.</b> \(HTML.escaped(failure.message))"
            body += failure.hint.map { "<br>\(HTML.escaped($0))" } ?? ""
            body +=
                metrics.epochs > 0
                ? "<br>What follows is of its best epoch until then.</p>\n" : "</p>\n"
        }
        var summary: [[String]] = []
        func line(_ name: String, _ value: Double?) {
            if let value { summary.append([name, HTML.places(value, 4)]) }
        }
        for figure in metrics.figures.summary { line(figure.name, figure.value) }
        if let temperature = metrics.temperature {
            line("temperature of the head", temperature.value)
            line("calibration error before it", temperature.calibrationErrorBefore)
        }
        line("validation loss", metrics.loss)
        if metrics.epochs > 0 {
            summary.append(["best epoch", "\(metrics.bestEpoch) of \(metrics.epochs)"])
        }
        summary.append(
            ["photos", "\(metrics.trainingPhotos) learned, \(metrics.validationPhotos) validated"])
        if metrics.skippedPhotos > 0 {
            summary.append(["photos skipped, not readable", "\(metrics.skippedPhotos)"])
        }
        body += HTML.table(["", ""], summary)
        if !history.isEmpty { body += curves(run, metrics, history) + part }
        if !mistakes.isEmpty {
            body += "<h2>Worst mistakes</h2><p>\(note)</p>\n"
            body += "<div class=cards>\n"
            for mistake in mistakes { body += try card(mistake) }
            body += "</div>\n"
        }
        body += "<h2>Repeat it</h2><pre>\(HTML.escaped(run.command))</pre>\n"
        body += "<h2>Settings</h2>\n"
        body += HTML.table(["", ""], run.settings.map { [$0.name, $0.value] }, kind: "facts")
        body += "<details><summary>all of them, as in run.json</summary><pre>"
        body += HTML.escaped(try RunFiles.json(run, pretty: true)) + "</pre></details>"
        return HTML.page(title, body)
    }

    /// Curves over the epochs.
    private static func curves(
        _ run: RunDescription, _ metrics: TrainingMetrics, _ history: [EpochRecord]
    ) -> String {
        var body = "<h2>Learning</h2>\n"
        let epochs = history.map(\.epoch)
        // A logistic head tries penalties, one after the other, and has no epochs.
        let penalty = history.first { $0.epoch == metrics.bestEpoch }?.penalty
        let kept = penalty.map { "penalty \(Float($0))" } ?? "epoch \(metrics.bestEpoch)"
        body += Plot.curves(
            "loss", epochs, best: metrics.bestEpoch, kept: kept,
            [
                ("training", history.map { $0.isLearned ? $0.trainingLoss : nil }),
                ("validation", history.map(\.validationLoss)),
            ])
        body += Plot.curves(
            run.task.measure, epochs, best: metrics.bestEpoch, kept: kept,
            [
                ("training", history.map { $0.isLearned ? $0.trainingAccuracy : nil }),
                ("validation", history.map(\.validationAccuracy)),
            ])
        return body
    }

    /// A mistake: the photo, where the network looked, and in words.
    private static func card(_ mistake: Mistake) throws -> String {
        var text = "<figure class=card>"
        for picture in mistake.pictures { text += try HTML.image(picture, mistake.path) }
        let sure = mistake.probability.map { " (\(HTML.places(Double($0), 2)))" } ?? ""
        text += "<figcaption><b>\(HTML.escaped(mistake.truth))</b>, taken for "
        text += "<b>\(HTML.escaped(mistake.prediction))</b>\(sure)"
        return text + "<br><small>\(HTML.escaped(mistake.path))</small></figcaption></figure>\n"
    }
}

extension Preprocessing {
    /// A network's input as a picture again: what it sees of a photo.
    func picture(of input: [Float]) -> Image {
        var image = Image(filling: .white, width, height)
        let sources = normalization.channels == .rgb ? [0, 1, 2] : [2, 1, 0]
        for y in 0..<height {
            for x in 0..<width {
                var parts: [UInt8] = [0, 0, 0]
                for channel in 0..<3 {
                    let value = Double(input[(channel * height + y) * width + x])
                    let raw =
                        (value * normalization.std[channel] + normalization.mean[channel])
                        / normalization.scale
                    parts[sources[channel]] =
                        raw.isFinite ? UInt8(min(max(raw.rounded(), 0), 255)) : 0
                }
                image[x, y] = Color(parts[0], parts[1], parts[2])
            }
        }
        return image
    }
}

extension Image {
    /// This picture under a map of weights in 0…1, blue for none and red for most, enlarged
    /// bilinearly.
    func under(_ map: [Float], rows: Int, columns: Int) -> Image {
        var result = self
        func value(_ y: Int, _ x: Int) -> Double {
            Double(map[min(max(y, 0), rows - 1) * columns + min(max(x, 0), columns - 1)])
        }
        for y in 0..<height {
            let v = (Double(y) + 0.5) * Double(rows) / Double(height) - 0.5
            let top = Int(v.rounded(.down))
            for x in 0..<width {
                let u = (Double(x) + 0.5) * Double(columns) / Double(width) - 0.5
                let left = Int(u.rounded(.down))
                let (fy, fx) = (v - Double(top), u - Double(left))
                let upper = value(top, left) * (1 - fx) + value(top, left + 1) * fx
                let lower = value(top + 1, left) * (1 - fx) + value(top + 1, left + 1) * fx
                let heat = upper * (1 - fy) + lower * fy
                let color = Color(20, 40, 200).mixed(with: Color(240, 30, 20), heat)
                result[x, y] = self[x, y].mixed(with: color, 0.15 + 0.45 * heat)
            }
        }
        return result
    }
}
