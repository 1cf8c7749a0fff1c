// What every task has: figures that are read back from a file, and settings under its name.

import Foundation
import GraftImages
import GraftTensors
import Testing

@testable import GraftTraining

@Suite struct TaskTests {
    private func figures(_ task: LearningTask) -> any TaskMetrics {
        func none<Goal: Objective>(_ goal: Goal.Type) -> any TaskMetrics {
            let setting = ObjectiveSetting(
                options: TrainingOptions(), settings: nil, classes: ["a", "b"], unseen: 0,
                preprocessing: .squash(height: 8, width: 8, .tf), network: "tiny")
            do {
                return try Goal(setting).metrics(of: nil)
            } catch {
                Issue.record("\(error)")
                return RegressionMetrics(values: nil)
            }
        }
        guard let goal = task.kind as? any Objective.Type else {
            Issue.record("\(task) cannot be learned")
            return RegressionMetrics(values: nil)
        }
        return none(goal)
    }

    @Test(arguments: LearningTask.allCases)
    func `Figures of each task are read back from metrics.json`(task: LearningTask) throws {
        var metrics = TrainingMetrics(
            task: task, classes: ["a", "b"], bestEpoch: 2, epochs: 3, trainingPhotos: 9,
            validationPhotos: 0, skippedPhotos: 1, figures: figures(task))
        metrics.loss = 0.25
        let text = try RunFiles.json(metrics)
        let back = try JSONDecoder().decode(TrainingMetrics.self, from: Data(text.utf8))
        #expect(back == metrics && back.measure == nil)
        #expect(task.kind.task == task)
    }

    @Test func `The settings of a task stand among the options under its name`() throws {
        var settings = EmbeddingSettings()
        settings.size = 7
        let text = try RunFiles.json(RunOptions(TrainingOptions(), settings: settings))
        #expect(text.contains("\"embedding\":{\"loss\":"))
        let back = try JSONDecoder().decode(RunOptions.self, from: Data(text.utf8))
        #expect(back.settings as? EmbeddingSettings == settings)
        #expect(back.common == TrainingOptions() && back.epochs == TrainingOptions().epochs)
        let plain = try RunFiles.json(RunOptions(TrainingOptions(), settings: nil))
        #expect(plain == (try RunFiles.json(TrainingOptions())))
    }

    @Test(arguments: LearningTask.allCases)
    func `Blending is refused in one place`(task: LearningTask) throws {
        var options = TrainingOptions()
        options.mixup = 0.2
        guard let reason = task.traits.refusesBlending else {
            return try options.validate(for: task, settings: nil)
        }
        let wanted = TrainingError.option("mixing of photos", expected: reason, found: "mixup")
        #expect(throws: wanted) { try options.validate(for: task, settings: nil) }
    }
}
