// Vectors of length 1: where their numbers lie, and the gradient of bringing them to it.

import GraftTensors

/// Normalisation to length 1 over the channels of maps or vectors, row-major.
struct UnitNorm {
    private let shape: Shape
    private let area: Int

    init(_ shape: Shape) {
        self.shape = shape
        area = shape.count / max(shape[0] * shape[1], 1)
    }

    /// The channels of every position: where they begin, and how far each is from there.
    func forEachPosition(_ body: (Int, StrideTo<Int>) -> Void) {
        for sample in 0..<shape[0] {
            for element in 0..<area {
                body(
                    sample * shape[1] * area + element,
                    stride(from: 0, to: shape[1] * area, by: area))
            }
        }
    }

    /// The length that a vector is divided by: PyTorch's, never below 1e-12.
    static func length(
        _ x: UnsafeBufferPointer<Float>, _ base: Int, _ places: StrideTo<Int>
    ) -> Double {
        var squares = 0.0
        for at in places { squares += Double(x[base + at]) * Double(x[base + at]) }
        return max(squares.squareRoot(), 1e-12)
    }

    /// dx = (g − y (y · g)) / ‖x‖: what points along the vector changes nothing.
    static func backward(
        _ shape: Shape, _ x: UnsafeMutableBufferPointer<Float>,
        _ y: UnsafeMutableBufferPointer<Float>, _ g: UnsafeMutableBufferPointer<Float>,
        _ dx: UnsafeMutableBufferPointer<Float>
    ) {
        UnitNorm(shape).forEachPosition { base, places in
            let length = length(.init(x), base, places)
            var along = 0.0
            for at in places { along += Double(g[base + at]) * Double(y[base + at]) }
            for at in places {
                dx[base + at] = Float(
                    (Double(g[base + at]) - Double(y[base + at]) * along) / length)
            }
        }
    }
}
