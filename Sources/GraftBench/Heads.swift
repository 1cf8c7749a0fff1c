// Heads on kept features: the best linear one, and the nearest neighbours beside plain loops.

import GraftTraining

func benchHeads(_ bench: Bench) throws {
    let (rows, width, classes) = (400, 1280, 8)
    let labels = (0..<rows).map { $0 % classes }
    var features = numbers(rows * width)
    for row in 0..<rows { features[row * width + labels[row]] += 1 }
    let head = LogisticRegression(
        features: features, width: width, labels: labels, classes: classes)
    try bench("logistic head, 400 × 1280, 8 classes (L-BFGS to its optimum)") {
        keep(try head.fit(penalty: 1e-2))
    }

    let bank = Neighbours(features: features, width: width, labels: labels, count: 5)
    func products() -> Float {
        var sum: Float = 0
        for one in 0..<rows {
            for other in 0..<rows {
                var dot: Float = 0
                for k in 0..<width {
                    dot += features[one * width + k] * features[other * width + k]
                }
                sum = max(sum, dot)
            }
        }
        return sum
    }
    try bench(
        "5 nearest of 400, for 400 photos",
        plain: ("their products in plain loops", { keep(products()) })
    ) {
        keep(try bank.probabilities(features, classes: classes))
    }
}
