// What names in a checkpoint say: which belong to training and to no network, and what they begin with.

import GraftTensors
import OrderedCollections

/// The names of tensors in the checkpoints that training programs write.
enum CheckpointNames {
    private static let separators: Set<Character> = [".", "/"]

    /// The first part of a name, up to a `.` or `/`.
    static func first(_ name: String) -> String { String(name.prefix { !separators.contains($0) }) }

    /// The part after the last `.` or `/`.
    static func last(_ name: String) -> String {
        String(name.reversed().prefix { !separators.contains($0) }.reversed())
    }

    /// What comes before the last part.
    static func layer(_ name: String) -> Substring {
        name.lastIndex(where: separators.contains).map { name[..<$0] } ?? ""
    }

    /// Whether a tensor of this name says something of a layer's run and not of its weights.
    static func isCounter(_ name: String) -> Bool {
        ["num_batches_tracked", "total_ops", "total_params", "n_averaged"].contains(last(name))
    }

    private static let training: Set<String> = [
        "loss", "losses", "criterion", "criteria", "objective", "metric", "metrics", "optimizer",
        "optimizers", "optimizer_states", "optim", "opt", "scheduler", "schedulers",
        "lr_scheduler", "lr_schedulers", "scaler", "grad_scaler", "amp", "callbacks", "loops",
        "decay", "args", "hparams", "hyper_parameters", "config", "epoch", "step", "global_step",
        "exp_avg", "exp_avg_sq", "max_exp_avg_sq", "momentum_buffer", "square_avg", "acc_delta",
        "exp_inf", "param_groups", "iteration", "iter", "save_counter", "keras_api", "_optimizer",
        "perceptual_loss", "lpips",
    ]
    /// Optimisers whose name TensorFlow puts before that of their variables.
    private static let optimizers: Set<String> = [
        "adam", "adamw", "adamax", "nadam", "radam", "sgd", "rmsprop", "adagrad", "adadelta",
        "ftrl", "lion", "lamb", "adafactor", "momentum", "loss_scale_optimizer",
    ]

    /// Whether a part of a name belongs to what trains a network: losses, metrics, optimisers.
    static func isTraining(_ part: String) -> Bool {
        let word = part.lowercased()
        if training.contains(word) || optimizers.contains(unnumbered(word)) { return true }
        return ["loss", "criterion", "metric", "optimizer", "train_", "val_", "valid_", "test_"]
            .contains { word.hasPrefix($0) }
            || [
                "_loss", "_losses", "_criterion", "_metric", "_metrics", "_acc", "_accuracy",
                "_auroc", "_f1", "_iou", "_confmat", "_optimizer", "_scheduler",
            ].contains { word.hasSuffix($0) }
    }

    /// Whether a prefix is that of averaged weights, beside those that were averaged.
    static func isAverage(_ prefix: String) -> Bool {
        let words = prefix.lowercased().split { separators.contains($0) || $0 == "_" || $0 == "-" }
        return words.contains { ["ema", "shadow", "swa", "averaged", "average"].contains($0) }
    }

    /// Whether a prefix has a part that belongs to training.
    static func isTraining(prefix: String) -> Bool {
        prefix.split { separators.contains($0) }.contains { isTraining(String($0)) }
    }

    /// `adam_1` is `adam`.
    private static func unnumbered(_ word: String) -> String {
        guard let underscore = word.lastIndex(of: "_"),
            word[word.index(after: underscore)...].allSatisfy(\.isNumber)
        else { return word }
        return String(word[..<underscore])
    }

    /// What at least `minimum` of the names begin with, up to and with a `.` or `/`: shortest
    /// first, the empty beginning among them.
    static func prefixes(of names: some Sequence<String>, minimum: Int) -> [String] {
        var counts: [String: Int] = [:]
        var total = 0
        for name in names where !isCounter(name) {
            total += 1
            var depth = 0
            for index in name.indices where separators.contains(name[index]) {
                depth += 1
                guard depth <= 16 else { break }
                counts[String(name[...index]), default: 0] += 1
            }
        }
        let frequent = counts.filter { $0.value >= minimum }.keys
            .sorted { ($0.utf8.count, $0) < ($1.utf8.count, $1) }
        return (total >= minimum ? [""] : []) + frequent.prefix(500)
    }
}

extension CheckpointNames {
    /// Parts that wrappers of modules put into names: DataParallel, torch.compile, FSDP.
    static let wrappers: Set<Substring> = [
        "module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module",
        "_forward_module",
    ]

    /// The weights without the parts of names that wrappers of some of the modules put in, and these
    /// parts; nil where there are none, or names would meet.
    static func unwrapped(_ state: StateDict) -> (state: StateDict, parts: [String], count: Int)? {
        var result = StateDict(metadata: state.metadata, axes: state.axes)
        result.remarks = state.remarks
        var found: Set<Substring> = []
        var count = 0
        for (name, tensor) in state.tensors {
            let parts = name.split(separator: ".", omittingEmptySubsequences: false)
            let own = parts.filter { !wrappers.contains($0) }
            if own.count < parts.count {
                found.formUnion(parts.filter(wrappers.contains))
                count += 1
            }
            let plain = own.joined(separator: ".")
            guard result[plain] == nil else { return nil }
            result[plain] = tensor
        }
        return count == 0 ? nil : (result, found.sorted().map(String.init), count)
    }
}

extension StateDict {
    /// The tensor of this name, or of it behind the names of outer models.
    func own(_ name: String) -> LazyTensor? {
        self[name] ?? tensors.first { $0.key.hasSuffix("/" + name) }?.value
    }

    /// The tensors whose names begin with `prefix`, without it.
    func under(_ prefix: String) -> StateDict {
        guard !prefix.isEmpty else { return self }
        var result = StateDict(metadata: metadata, axes: axes)
        for (name, tensor) in tensors where name.hasPrefix(prefix) {
            result[String(name.dropFirst(prefix.count))] = tensor
        }
        return result
    }
}
