// The views of a photo that are learned from: itself, its mirror image, or random changes of it.

import GraftImages

/// Makes view number n of a photo, the same on every machine and for every number of workers.
struct Views {
    /// How many views are kept; 1 is the photo alone.
    let count: Int
    let augmentation: Augmentation
    /// Mixed into what is drawn where views are made anew in every epoch.
    let seed: UInt64

    init(_ options: TrainingOptions) {
        augmentation = options.augmentation
        seed = options.seed
        count = augmentation.isNothing ? (options.flip ? 2 : 1) : max(options.cacheViews, 2)
    }

    /// The photos as they are.
    static let plain = Views(TrainingOptions())

    /// View `view` of the photo called `name`; 0 is the photo itself.
    func make(_ image: Image, name: String, view: Int, seeded: Bool) -> Image {
        guard view > 0 else { return image }
        guard !augmentation.isNothing else { return image.flippedHorizontally() }
        var random = random(name: name, view: view, seeded: seeded)
        return augmentation.apply(image, using: &random)
    }

    /// Where the pixels of a view of an item come from, in the pixels of the whole photo. What moves is
    /// drawn again from the same numbers, without a pixel.
    func change(of item: PhotoFolder.Item, name: String, view: Int, seeded: Bool) -> ViewChange {
        guard view > 0 else { return .none }
        guard !augmentation.isNothing else { return .mirror }
        guard let size = item.size else { return .none }
        var random = random(name: name, view: view, seeded: seeded)
        return .moved(
            augmentation.draw(width: size.width, height: size.height, using: &random).map)
    }

    /// The numbers that a view is drawn from.
    private func random(name: String, view: Int, seeded: Bool) -> RandomSource {
        // FNV-1a over the name, then the number of the view.
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        hash = (hash ^ UInt64(view)) &* 0x9E37_79B9_7F4A_7C15
        if seeded { hash ^= seed &* 0xD134_2543_DE82_EF95 }
        return RandomSource(seed: hash)
    }

    /// What the cache calls a view: it must not mistake one augmentation's for another's.
    func tag(_ view: Int) throws -> String {
        guard view > 0, !augmentation.isNothing else { return "\(view)" }
        // 2: the moves of a policy are part of the one map.
        return try RunFiles.digest(("2" + RunFiles.json(augmentation)).utf8).prefix(12) + "-\(view)"
    }
}
