// ConvNeXt: Liu et al. 2022, arXiv:2201.03545: its table, which every publisher follows.

enum ConvNeXtTable {
    /// Section 3 and appendix A: blocks per stage, channels of the first stage; each next stage has
    /// twice as many.
    static let sizes: [(name: String, depths: [Int], width: Int)] = [
        ("tiny", [3, 3, 9, 3], 96), ("small", [3, 3, 27, 3], 96), ("base", [3, 3, 27, 3], 128),
        ("large", [3, 3, 27, 3], 192), ("xlarge", [3, 3, 27, 3], 256),
    ]
}
