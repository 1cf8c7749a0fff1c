// The options that say how photos are changed before they are learned from.

import ArgumentParser
import GraftImages

struct AugmentationSettings: ParsableArguments {
    enum Preset: String, ExpressibleByArgument, CaseIterable {
        case none, light, strong, randaugment, trivial
    }

    @Option(
        help: ArgumentHelp(
            "How photos are changed before they are learned from.",
            discussion: """
                light mirrors, crops a little and varies colours; strong does more and erases parts; \
                randaugment and trivial draw from their papers' lists. The options below come on top.
                """))
    var augment: Preset = .none
    @Option(parsing: .unconditional, help: "Turn by up to so many degrees.") var rotate: Double?
    @Option(parsing: .unconditional, help: "Enlarge or shrink by up to this share.") var zoom:
        Double?
    @Option(parsing: .unconditional, help: "Move by up to this share of the sides.") var translate:
        Double?
    @Option(
        parsing: .unconditional, help: "The smallest share of the area that a random crop keeps.")
    var randomCrop: Double?
    @Option(parsing: .unconditional, help: "Brightness times 1 ± this.") var brightness: Double?
    @Option(parsing: .unconditional, help: "Contrast times 1 ± this.") var contrast: Double?
    @Option(parsing: .unconditional, help: "Saturation times 1 ± this.") var saturation: Double?
    @Option(parsing: .unconditional, help: "Gaussian noise of up to this deviation, of 255.")
    var noise: Double?
    @Option(parsing: .unconditional, help: "Gaussian blur of up to this deviation, in pixels.")
    var blur: Double?
    @Option(parsing: .unconditional, help: "How often a rectangle is erased.") var erase: Double?
    @Flag(help: "Mirror top and bottom too.") var flipVertical = false

    /// The changes that were asked for, by their options.
    var given: [String] {
        var names = augment == .none ? [] : ["--augment"]
        for (name, isGiven) in [
            ("--rotate", rotate != nil), ("--zoom", zoom != nil),
            ("--translate", translate != nil), ("--random-crop", randomCrop != nil),
            ("--brightness", brightness != nil), ("--contrast", contrast != nil),
            ("--saturation", saturation != nil), ("--noise", noise != nil), ("--blur", blur != nil),
            ("--erase", erase != nil), ("--flip-vertical", flipVertical),
        ] where isGiven { names.append(name) }
        return names
    }

    func augmentation() throws -> Augmentation {
        var result = Augmentation()
        switch augment {
        case .none: break
        case .light:
            (result.flip, result.crop) = (true, 0.6)
            (result.brightness, result.contrast, result.saturation) = (0.2, 0.2, 0.2)
        case .strong:
            (result.flip, result.crop, result.rotation) = (true, 0.35, 15)
            (result.brightness, result.contrast, result.saturation) = (0.4, 0.4, 0.4)
            (result.blur, result.erasing) = (1, 0.25)
        case .randaugment: (result.flip, result.crop, result.policy) = (true, 0.6, .randaugment)
        case .trivial: (result.flip, result.crop, result.policy) = (true, 0.6, .trivial)
        }
        func set(
            _ value: Double?, _ name: String, _ range: ClosedRange<Double>,
            _ place: WritableKeyPath<Augmentation, Double>
        ) throws {
            guard let value else { return }
            guard range.contains(value) else {
                throw ValidationError(
                    "--\(name) takes \(range.lowerBound) to \(range.upperBound), not \(value)")
            }
            result[keyPath: place] = value
        }
        try set(rotate, "rotate", 0...180, \.rotation)
        try set(zoom, "zoom", 0...0.9, \.zoom)
        try set(translate, "translate", 0...1, \.translation)
        try set(randomCrop, "random-crop", 0.01...1, \.crop)
        try set(brightness, "brightness", 0...1, \.brightness)
        try set(contrast, "contrast", 0...1, \.contrast)
        try set(saturation, "saturation", 0...1, \.saturation)
        try set(noise, "noise", 0...255, \.noise)
        try set(blur, "blur", 0...20, \.blur)
        try set(erase, "erase", 0...1, \.erasing)
        if flipVertical { result.flipVertical = true }
        return result
    }
}
