// The parts of maps under boxes, and the gradient that goes back to the maps.

import GraftNetworks
import GraftTensors

extension Op.RoIAlign: ExecutableOp {
    struct Saved {
        let boxes: Memory
        let samples: Memory
    }

    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Saved> {
        let compiler = pass.compiler
        let count = site.y[0]
        let x = try compiler.plain(try pass.value(of: site.inputs[0]), of: site.x)
        let boxes = try compiler.plain(try pass.value(of: site.inputs[1]), of: [count, 4])
        let samples = try compiler.plain(try pass.value(of: site.inputs[2]), of: [count])
        let y = try compiler.memory(.plain(site.y.dimensions))
        let (channels, area, cells) = (site.x[1], site.x[2] * site.x[3], height * width)
        let takesMaximum = takesMaximum
        compiler.loop(site.name, uses: [x, boxes, samples, y]) {
            try forEachCell(of: boxes.floats, in: samples.floats, at: site) {
                box, sample, cell, points in
                for channel in 0..<channels {
                    let plane = x.floats + (sample * channels + channel) * area
                    var (sum, largest) = (Float(0), -Float.infinity)
                    for point in points {
                        var value: Float = 0
                        for tap in point {
                            let part = plane[tap.place] * tap.weight
                            value += part
                            largest = max(largest, part)
                        }
                        sum += value
                    }
                    y.floats[(box * channels + channel) * cells + cell] =
                        takesMaximum
                        ? (points.isEmpty ? 0 : largest)
                        : sum / Float(max(points.count, 1))
                }
            }
        }
        return Outcome(y, saved: Saved(boxes: boxes, samples: samples))
    }

    /// The gradient of the maps; that of the boxes is none.
    func backward(
        from gradients: OutputGradients, saved: Saved, at site: NodeSite, in pass: BackwardPass
    ) throws -> [Memory?] {
        guard pass.learns(site.inputs[0]) else { return [nil, nil, nil] }
        guard !takesMaximum else {
            throw ExecutionError.noGradient(layer: site.name, kind: "\(kind) (max)")
        }
        let compiler = pass.compiler
        let dy = try compiler.plain(try gradients.sum(), of: site.y)
        let dx = try compiler.memory(.plain(site.x.dimensions))
        let (channels, area, cells) = (site.x[1], site.x[2] * site.x[3], height * width)
        let count = site.x.count
        compiler.loop(site.name, uses: [dy, saved.boxes, saved.samples, dx]) {
            dx.buffer.floats(count).update(repeating: 0)
            try forEachCell(of: saved.boxes.floats, in: saved.samples.floats, at: site) {
                box, sample, cell, points in
                for channel in 0..<channels {
                    let gradient =
                        dy.floats[(box * channels + channel) * cells + cell]
                        / Float(max(points.count, 1))
                    let plane = dx.floats + (sample * channels + channel) * area
                    for point in points {
                        for tap in point { plane[tap.place] += gradient * tap.weight }
                    }
                }
            }
        }
        return [dx, nil, nil]
    }

    private struct Tap {
        var place: Int
        var weight: Float
    }

    /// The samples of each cell of each box, each a list of pixels.
    private func forEachCell(
        of boxes: UnsafePointer<Float>, in samples: UnsafePointer<Float>, at site: NodeSite,
        _ body: (_ box: Int, _ sample: Int, _ cell: Int, _ points: [[Tap]]) -> Void
    ) throws(ExecutionError) {
        let (rows, columns) = (site.x[2], site.x[3])
        let offset: Float = hasHalfPixels ? 0.5 : 0
        let scale = Float(scale)
        for box in 0..<site.y[0] {
            guard let sample = Int(exactly: samples[box]), 0..<site.x[0] ~= sample else {
                throw .index(layer: site.name, index: samples[box], count: site.x[0])
            }
            let edges = (0..<4).map { boxes[box * 4 + $0] * scale - offset }
            var (boxWidth, boxHeight) = (edges[2] - edges[0], edges[3] - edges[1])
            if !hasHalfPixels { (boxWidth, boxHeight) = (max(boxWidth, 1), max(boxHeight, 1)) }
            let (cellWidth, cellHeight) = (boxWidth / Float(width), boxHeight / Float(height))
            guard cellWidth.isFinite, cellHeight.isFinite else {
                throw .index(layer: site.name, index: cellWidth, count: columns)
            }
            func number(_ size: Float, of map: Int) -> Int {
                // No box needs more samples than its map has pixels.
                samplingRatio > 0
                    ? samplingRatio : Int(min(max(size.rounded(.up), 0), Float(4 * map)))
            }
            let (tall, wide) = (number(cellHeight, of: rows), number(cellWidth, of: columns))
            for row in 0..<height {
                for column in 0..<width {
                    var points: [[Tap]] = []
                    for i in 0..<tall {
                        let y =
                            edges[1] + Float(row) * cellHeight
                            + (Float(i) + 0.5) * cellHeight / Float(tall)
                        for j in 0..<wide {
                            let x =
                                edges[0] + Float(column) * cellWidth
                                + (Float(j) + 0.5) * cellWidth / Float(wide)
                            points.append(taps(y: y, x: x, rows: rows, columns: columns))
                        }
                    }
                    body(box, sample, row * width + column, points)
                }
            }
        }
    }

    /// The four pixels around a point; none if it is outside the map.
    private func taps(y: Float, x: Float, rows: Int, columns: Int) -> [Tap] {
        guard y >= -1, y <= Float(rows), x >= -1, x <= Float(columns) else { return [] }
        func axis(_ place: Float, of size: Int) -> (low: Int, high: Int, share: Float) {
            let place = max(place, 0)
            let low = Int(place)
            return low >= size - 1
                ? (size - 1, size - 1, 0) : (low, low + 1, place - Float(low))
        }
        let (row, column) = (axis(y, of: rows), axis(x, of: columns))
        return [
            Tap(
                place: row.low * columns + column.low, weight: (1 - row.share) * (1 - column.share)),
            Tap(place: row.low * columns + column.high, weight: (1 - row.share) * column.share),
            Tap(place: row.high * columns + column.low, weight: row.share * (1 - column.share)),
            Tap(place: row.high * columns + column.high, weight: row.share * column.share),
        ]
    }
}
