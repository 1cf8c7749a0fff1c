// What a run learns from, before the first epoch: the classes with their counts, and the split.

import Graft
import GraftTensors
import GraftTraining

/// The table of a run's images.
enum DataTable {
    /// Of more classes than this, the largest and the smallest are shown.
    private static let most = 20
    private static let largest = 12
    private static let smallest = 6

    static func text(_ data: TrainingData, _ task: LearningTask, split: String) -> String {
        let total =
            "\(grouped(data.trainingImages)) training and \(grouped(data.validationImages)) validation images"
        let words = task.presentation
        let kinds = "\(grouped(data.classes.count)) \(words.noun(data.classes.count))"
        let summary = "\(kinds), \(total) (\(split))"
        guard words.hasClasses else { return summary }
        return table(data, task) + "\n" + summary
    }

    private static func table(_ data: TrainingData, _ task: LearningTask) -> String {
        let hasBoxes = !data.boxes.isEmpty
        var table = Table(
            [task.presentation.noun(1)] + (hasBoxes ? ["boxes"] : []) + ["training", "validation"],
            numeric: [1, 2, 3])
        func add(_ index: Int) {
            table.add(
                [data.classes[index]] + (hasBoxes ? [grouped(data.boxes[index])] : [])
                    + [grouped(data.training[index]), grouped(data.validation[index])])
        }
        guard data.classes.count > most else {
            for index in data.classes.indices { add(index) }
            return table.text(fitting: Terminal.width)
        }
        let order = data.classes.indices.sorted {
            (data.training[$1], $0) < (data.training[$0], $1)
        }
        for index in order.prefix(largest) { add(index) }
        table.add(
            ["… \(order.count - largest - smallest) more"] + (hasBoxes ? [""] : []) + ["", ""])
        for index in order.suffix(smallest) { add(index) }
        return table.text(fitting: Terminal.width)
    }
}
