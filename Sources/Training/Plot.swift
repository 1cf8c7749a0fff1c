// Curves and points for the report, as SVG.

/// Drawings of numbers, everything from outside escaped.
enum Plot {
    private static let colors = ["#1565c0", "#ef6c00", "#2e7d32"]

    /// Round numbers that cover a range, about six of them.
    static func ticks(_ low: Double, _ high: Double) -> [Double] {
        // One value all along, as an accuracy that stands still, lies in the middle of a scale of its own.
        guard high > low || !low.isFinite else {
            let room = max(abs(low) * 0.1, 0.1)
            return ticks(low - room, low + room)
        }
        let span = max(high - low, 1e-9)
        guard span.isFinite else { return [] }
        let size = tenToThe((logarithm(span / 5) / logarithm(10)).rounded(.down))
        let parts = span / 5 / size
        let step = size * (parts < 1.5 ? 1 : parts < 3.5 ? 2 : parts < 7.5 ? 5 : 10)
        let first = (low / step).rounded(.down)
        let last = (high / step).rounded(.up)
        guard last - first < 20, abs(last) < 1e15, abs(first) < 1e15 else { return [low, high] }
        return (Int(first)...Int(last)).map { Double($0) * step }
    }

    /// As few decimals as tell two marks apart.
    private static func label(_ value: Double, _ ticks: [Double]) -> String {
        let step = ticks.count > 1 ? ticks[1] - ticks[0] : 1
        var (places, unit) = (0, 1.0)
        while step < unit * 0.999, places < 6 { (places, unit) = (places + 1, unit / 10) }
        return HTML.places(value, places)
    }

    /// Lines over the epochs, with scales, a legend and a mark at the best of them, which is `kept` by name.
    static func curves(
        _ title: String, _ epochs: [Int], best: Int, kept: String,
        _ lines: [(name: String, values: [Double?])]
    ) -> String {
        // What has no value has no place in the legend either.
        let lines = lines.filter { $0.values.contains { $0 != nil } }
        let values = lines.flatMap { $0.values.compactMap(\.self) }.filter(\.isFinite)
        guard let least = values.min(), let most = values.max(), let first = epochs.first,
            let end = epochs.last
        else { return "" }
        let marks = ticks(least, most)
        let (low, high) = (marks.first ?? least, marks.last ?? most)
        let (width, height, left) = (456.0, 200.0, 52.0)
        let (span, steps) = (max(high - low, 1e-9), Double(max(end - first, 1)))
        func x(_ epoch: Int) -> String {
            HTML.places(left + width * Double(epoch - first) / steps, 1)
        }
        func y(_ value: Double) -> Double { 8 + height - height * (value - low) / span }
        var text = "<figure><figcaption>\(HTML.escaped(title))</figcaption>"
        text += "<svg viewBox=\"0 0 \(Int(width + left + 12)) \(Int(height + 50))\">"
        for mark in marks {
            let place = HTML.places(y(mark), 1)
            text +=
                "<line class=grid x1=\(left) x2=\(left + width) y1=\(place) y2=\(place) />"
                + "<text x=\(left - 6) y=\(HTML.places(y(mark) + 4, 1)) text-anchor=end>"
                + "\(label(mark, marks))</text>"
        }
        for epoch in epochMarks(first, end) {
            text += "<text x=\(x(epoch)) y=\(height + 24) text-anchor=middle>\(epoch)</text>"
        }
        if epochs.count > 1, epochs.contains(best) {
            text += "<line class=mark x1=\(x(best)) x2=\(x(best)) y1=8 y2=\(height + 8) />"
        }
        for (index, line) in lines.enumerated() {
            let points = zip(epochs, line.values).compactMap { epoch, value -> String? in
                guard let value, value.isFinite else { return nil }
                return "\(x(epoch)),\(HTML.places(y(value), 1))"
            }
            let color = colors[index % colors.count]
            text += "<polyline stroke=\"\(color)\" points=\"\(points.joined(separator: " "))\" />"
            if points.count == 1, let point = points.first {
                let place = point.split(separator: ",")
                text += "<circle cx=\(place[0]) cy=\(place[1]) r=3 fill=\"\(color)\" />"
            }
            text +=
                "<text x=\(left + 110 * Double(index)) y=\(height + 44) fill=\"\(color)\">"
                + "\(HTML.escaped(line.name))</text>"
        }
        if epochs.count > 1, epochs.contains(best) {
            text +=
                "<text x=\(left + width) y=\(height + 44) text-anchor=end>"
                + "\(HTML.escaped(kept)) is kept</text>"
        }
        return text + "</svg></figure>\n"
    }

    /// Epochs to write below the axis: whole numbers, not too many.
    private static func epochMarks(_ first: Int, _ last: Int) -> [Int] {
        guard last > first else { return [first] }
        let steps = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10_000, 100_000, 1_000_000]
        let step = steps.first { (last - first) / $0 <= 10 } ?? (last - first)
        return (first...last).filter { $0 % step == 0 || ($0 == first && step <= 5) }
            .filter { $0 == first || ($0 - first) * 2 > step }
    }

    /// A square with points in it, and the line on which both axes agree.
    private static func square(
        _ title: String, _ low: Double, _ high: Double,
        _ points: [(x: Double, y: Double, radius: Double)]
    ) -> String {
        let (size, left, top) = (260.0, 60.0, 18.0)
        let marks = ticks(low, high)
        let (low, high) = (marks.first ?? low, marks.last ?? high)
        let span = max(high - low, 1e-9)
        func x(_ value: Double) -> String { HTML.places(left + size * (value - low) / span, 1) }
        func y(_ value: Double) -> String {
            HTML.places(top + size - size * (value - low) / span, 1)
        }
        var text = "<figure><figcaption>\(HTML.escaped(title))</figcaption>"
        text +=
            "<svg class=square viewBox=\"0 0 \(Int(left + size + 16)) \(Int(size + top + 28))\">"
        for mark in marks {
            text +=
                "<line class=grid x1=\(x(low)) x2=\(x(high)) y1=\(y(mark)) y2=\(y(mark)) />"
                + "<text x=\(left - 6) y=\(y(mark)) dy=4 text-anchor=end>\(label(mark, marks))</text>"
                + "<text x=\(x(mark)) y=\(size + top + 20) text-anchor=middle>"
                + "\(label(mark, marks))</text>"
        }
        text += "<line class=mark x1=\(x(low)) y1=\(y(low)) x2=\(x(high)) y2=\(y(high)) />"
        for point in points where point.x.isFinite && point.y.isFinite {
            text +=
                "<circle cx=\(x(point.x)) cy=\(y(point.y)) r=\(HTML.places(point.radius, 1)) "
                + "fill=\"\(colors[0])\" fill-opacity=.7 />"
        }
        return text + "</svg></figure>\n"
    }

    /// Answers over the truth, and the line on which they agree.
    static func scatter(_ title: String, _ points: [(truth: Double, answer: Double)]) -> String {
        let values = points.flatMap { [$0.truth, $0.answer] }.filter(\.isFinite)
        guard let low = values.min(), let high = values.max() else { return "" }
        return square(
            "\(title): answer over truth", low, high,
            points.map { ($0.truth, $0.answer, 2.5) })
    }

    /// How often answers were right over how sure they were.
    static func reliability(_ bins: [CalibrationBin]) -> String {
        let photos = Double(max(bins.reduce(0) { $0 + $1.count }, 1))
        return square(
            "share that was right over confidence", 0, 1,
            bins.map {
                ($0.confidence, $0.accuracy, max(2, 24 * (Double($0.count) / photos).squareRoot()))
            })
    }
}
