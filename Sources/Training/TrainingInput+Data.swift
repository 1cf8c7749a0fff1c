// The images of a run, counted class by class.

extension TrainingInput {
    /// What is learned from and validated on.
    var data: TrainingData {
        var data = TrainingData(
            classes: classes, training: counts(of: training), validation: counts(of: validation),
            trainingImages: training.count, validationImages: validation.count)
        guard task == .detection else { return data }
        data.boxes = [Int](repeating: 0, count: classes.count)
        for item in training + validation {
            for box in PhotoBoxes(item.targets).learned where classes.indices.contains(box.label) {
                data.boxes[box.label] += 1
            }
        }
        return data
    }

    private func counts(of items: [PhotoFolder.Item]) -> [Int] {
        var counts = [Int](repeating: 0, count: classes.count)
        for item in items {
            switch task {
            case .classification, .embedding:
                if counts.indices.contains(item.classIndex) { counts[item.classIndex] += 1 }
            case .multiLabel:
                for (index, value) in item.targets.enumerated().prefix(counts.count) where value > 0
                {
                    counts[index] += 1
                }
            case .regression: for index in counts.indices { counts[index] += 1 }
            case .detection:
                for label in Set(PhotoBoxes(item.targets).learned.map(\.label))
                where counts.indices.contains(label) { counts[label] += 1 }
            }
        }
        return counts
    }
}
