// The distances between the vectors of a batch, and the way of their gradients back.

/// Euclidean distances; where one is 0 its gradient is 0 too, as TensorFlow Addons has it.
struct PairDistances {
    let count: Int
    private let width: Int
    private let values: [Double]

    init(_ vectors: UnsafeBufferPointer<Float>, width: Int, count: Int) {
        self.count = count
        self.width = width
        var values = [Double](repeating: 0, count: count * count)
        for i in 0..<count {
            for j in 0..<i {
                var squares = 0.0
                for k in 0..<width {
                    let d = Double(vectors[i * width + k]) - Double(vectors[j * width + k])
                    squares += d * d
                }
                values[i * count + j] = squares.squareRoot()
                values[j * count + i] = values[i * count + j]
            }
        }
        self.values = values
    }

    subscript(i: Int, j: Int) -> Double { values[i * count + j] }

    /// Turns the slopes of the distances (count × count) into those of the vectors.
    func pass(
        _ slopes: [Double], _ vectors: UnsafeBufferPointer<Float>,
        _ gradient: UnsafeMutableBufferPointer<Float>
    ) {
        var row = [Double](repeating: 0, count: width)
        for i in 0..<count {
            for k in 0..<width { row[k] = 0 }
            for j in 0..<count where self[i, j] > 0 {
                let slope = slopes[i * count + j] + slopes[j * count + i]
                guard slope != 0 else { continue }
                let share = slope / self[i, j]
                for k in 0..<width {
                    row[k] +=
                        share * (Double(vectors[i * width + k]) - Double(vectors[j * width + k]))
                }
            }
            for k in 0..<width { gradient[i * width + k] = Float(row[k]) }
        }
    }
}
