// A linear head on kept features at its very optimum: multinomial logistic regression.

import GraftExecution

/// The head that minimises mean cross entropy + penalty/2 · ‖W‖², the bias free, as scikit-learn's
/// `LogisticRegression` does with C = 1 / (penalty · number of photos).
///
/// The problem is convex: it has one answer, which depends on no learning rate, order or seed.
package final class LogisticRegression {
    private let classes: Int
    private let width: Int
    private let labels: [Int]
    private let shares: [Double]
    private let smoothing: Double
    /// The features, less their mean and over one common scale, so that a penalty means the same
    /// for every backbone.
    private var features: [Float]
    private let mean: [Double]
    private let scale: Double
    private var solution: [Double]
    private var logits: [Float]
    private var slopes: [Float]
    private var matrixSlopes: [Float]

    /// Prepares for features (rows × `width`) of photos of these classes. `weights` by class are
    /// normalised so that their mean over the photos is 1.
    package init(
        features: [Float], width: Int, labels: [Int], classes: Int, weights: [Double]? = nil,
        labelSmoothing: Double = 0
    ) {
        precondition(features.count == labels.count * width && !labels.isEmpty && classes > 1)
        self.features = features
        self.width = width
        self.labels = labels
        self.classes = classes
        smoothing = labelSmoothing
        let rows = labels.count
        var mean = [Double](repeating: 0, count: width)
        for row in 0..<rows {
            for column in 0..<width { mean[column] += Double(features[row * width + column]) }
        }
        for column in 0..<width { mean[column] /= Double(rows) }
        var squares = 0.0
        for row in 0..<rows {
            for column in 0..<width {
                let value = Double(features[row * width + column]) - mean[column]
                squares += value * value
            }
        }
        let deviation = (squares / Double(rows * width)).squareRoot()
        scale = deviation > 0 && deviation.isFinite ? deviation : 1
        for row in 0..<rows {
            for column in 0..<width {
                let at = row * width + column
                self.features[at] = Float((Double(features[at]) - mean[column]) / scale)
            }
        }
        self.mean = mean
        let raw = labels.map { weights?[$0] ?? 1 }
        let total = raw.reduce(0, +)
        shares = raw.map { $0 / total }
        solution = [Double](repeating: 0, count: classes * width + classes)
        logits = [Float](repeating: 0, count: rows * classes)
        slopes = logits
        matrixSlopes = [Float](repeating: 0, count: classes * width)
    }

    /// One over the square of the common scale: what turns a penalty of `fit` into one on the
    /// features as they came.
    package var penaltyScale: Double { 1 / (scale * scale) }

    /// The optimum for a penalty, on the features as they came: W (classes × width) and b. It
    /// starts from the optimum before, so that a path of penalties costs little more than one.
    package func fit(penalty: Double, tolerance: Double = 1e-5) throws -> (
        matrix: [Float], bias: [Float], loss: Double
    ) {
        var x = solution
        let count = classes * width
        let loss = try QuasiNewton(tolerance: tolerance).minimise(&x) { point, gradient in
            try evaluate(point, &gradient, penalty)
        }
        solution = x
        var matrix = [Float](repeating: 0, count: count)
        var bias = [Float](repeating: 0, count: classes)
        for k in 0..<classes {
            var shift = x[count + k]
            for j in 0..<width {
                let weight = x[k * width + j] / scale
                matrix[k * width + j] = Float(weight)
                shift -= weight * mean[j]
            }
            bias[k] = Float(shift)
        }
        return (matrix, bias, loss)
    }

    private func evaluate(_ x: [Double], _ gradient: inout [Double], _ penalty: Double) throws
        -> Double
    {
        let rows = labels.count
        let count = classes * width
        let matrix = x[..<count].map { Float($0) }
        try features.withUnsafeBufferPointer { features in
            try matrix.withUnsafeBufferPointer { matrix in
                try logits.withUnsafeMutableBufferPointer {
                    try MatrixProduct.multiply(
                        features, matrix, transposedB: true, into: $0, rows: rows,
                        columns: classes, inner: width)
                }
            }
        }
        var loss = 0.0
        var biasSlopes = [Double](repeating: 0, count: classes)
        var row = [Double](repeating: 0, count: classes)
        let rest = smoothing / Double(classes)
        for sample in 0..<rows {
            let base = sample * classes
            var highest = -Double.infinity
            for k in 0..<classes {
                row[k] = Double(logits[base + k]) + x[count + k]
                highest = max(highest, row[k])
            }
            var sum = 0.0
            var mean = 0.0
            for k in 0..<classes {
                mean += row[k] - highest
                sum += exponential(row[k] - highest)
            }
            let (label, share) = (labels[sample], shares[sample])
            let own = row[label] - highest
            loss += share * (logarithm(sum) - (1 - smoothing) * own - rest * mean)
            for k in 0..<classes {
                let target = (k == label ? 1 - smoothing : 0) + rest
                let slope = share * (exponential(row[k] - highest) / sum - target)
                slopes[base + k] = Float(slope)
                biasSlopes[k] += slope
            }
        }
        try slopes.withUnsafeBufferPointer { slopes in
            try features.withUnsafeBufferPointer { features in
                try matrixSlopes.withUnsafeMutableBufferPointer {
                    try MatrixProduct.multiply(
                        slopes, transposedA: true, features, into: $0, rows: classes,
                        columns: width, inner: rows)
                }
            }
        }
        for at in 0..<count {
            loss += 0.5 * penalty * x[at] * x[at]
            gradient[at] = Double(matrixSlopes[at]) + penalty * x[at]
        }
        for k in 0..<classes { gradient[count + k] = biasSlopes[k] }
        return loss
    }

    /// The path of penalties that are tried, strongest first: half a decade apart.
    package static let penalties: [Double] = (0...12).map { step in
        let decades = Double(step) / 2
        return tenToThe(-decades)
    }
}
