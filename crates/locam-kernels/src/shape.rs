use crate::KernelError;

/// Images of a batch, channels-last: value `((n * height + y) * width + x) * channels + c` is channel `c` of the
/// pixel at `(x, y)` of image `n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Extent {
    /// Images.
    pub batch: usize,
    /// Rows of each.
    pub height: usize,
    /// Pixels of a row.
    pub width: usize,
}

impl Extent {
    /// Pixels of all images.
    pub fn pixels(self) -> usize {
        self.batch * self.height * self.width
    }

    /// Values of all images at so many channels.
    ///
    /// # Errors
    /// [`KernelError::TooLarge`] where they can't be addressed.
    pub fn values(self, channels: usize) -> Result<usize, KernelError> {
        // The largest stored value takes four bytes, and kernels compute offsets in signed integers.
        let limit = isize::MAX as usize / 8;
        let axes = [self.batch, self.height, self.width, channels];
        // An axis of nothing hides no other from the limit: sums of a length and its padding must not overflow.
        axes.into_iter()
            .try_fold(1usize, |product, axis| product.checked_mul(axis.max(1)))
            .filter(|&values| values <= limit)
            .map(|_| axes.into_iter().product())
            .ok_or(KernelError::TooLarge { extent: self, channels })
    }
}

/// Consecutive rows of an output, made from those rows of the input that their windows cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Band {
    /// Rows of padding above the first row that is there.
    pub above: usize,
    /// Rows of the output.
    pub rows: usize,
}

/// A two-dimensional convolution with the same extent along both axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConvParams {
    /// Input channels.
    pub channels_in: usize,
    /// Output channels.
    pub channels_out: usize,
    /// Side of the window.
    pub kernel: usize,
    /// Step of the window.
    pub stride: usize,
    /// Zeros around the input.
    pub padding: usize,
    /// 1, or `channels_in` for a depthwise convolution.
    pub groups: usize,
}

impl ConvParams {
    /// Windows above this make no sense for images and would overflow products of small numbers.
    const LARGEST: usize = 1 << 12;

    /// Checks that the parameters make sense and have a kernel here.
    ///
    /// # Errors
    /// [`KernelError::Convolution`].
    pub fn check(self) -> Result<(), KernelError> {
        let refuse = |reason| Err(KernelError::Convolution { params: self, reason });
        if self.channels_in == 0 || self.channels_out == 0 {
            return refuse("there must be at least one channel");
        }
        if self.kernel == 0 || self.stride == 0 {
            return refuse("the window and its step must be at least one pixel");
        }
        if self.kernel > Self::LARGEST || self.stride > Self::LARGEST || self.padding > Self::LARGEST {
            return refuse("the window, its step and the padding may be at most 4096 pixels");
        }
        if self.padding >= self.kernel {
            return refuse("windows must not lie wholly in the padding");
        }
        let depthwise = self.groups == self.channels_in && self.groups == self.channels_out;
        if self.groups != 1 && !depthwise {
            return refuse("groups are only supported where each channel is a group of its own");
        }
        let weights = [self.channels_out, self.kernel, self.kernel];
        match weights.into_iter().try_fold(self.channels_in, usize::checked_mul) {
            Some(count) if count <= isize::MAX as usize / 256 => Ok(()),
            _ => refuse("there are more weights than this machine can address"),
        }
    }

    /// Whether each channel is convolved by itself.
    pub fn is_depthwise(self) -> bool {
        self.groups > 1
    }

    /// Values of the weight: output channels, input channels per group, rows, columns.
    pub fn weight_len(self) -> usize {
        self.channels_out * (self.channels_in / self.groups) * self.kernel * self.kernel
    }

    /// What comes out of images of this extent.
    ///
    /// # Errors
    /// [`KernelError::WindowTooLarge`] or [`KernelError::TooLarge`].
    pub fn output(self, input: Extent) -> Result<Extent, KernelError> {
        self.check()?;
        input.values(self.channels_in)?;
        let height = self.along(input.height).ok_or_else(|| self.too_large(input))?;
        let width = self.along(input.width).ok_or_else(|| self.too_large(input))?;
        let output = Extent { batch: input.batch, height, width };
        output.values(self.channels_out)?;
        Ok(output)
    }

    /// What comes out of the rows that a band covers.
    ///
    /// # Errors
    /// As [`ConvParams::output`], also where a window of the band lies outside these rows and their padding.
    pub fn band_output(self, input: Extent, band: Band) -> Result<Extent, KernelError> {
        self.check()?;
        input.values(self.channels_in)?;
        let Band { above, rows } = band;
        let reach =
            rows.checked_sub(1).and_then(|last| last.checked_mul(self.stride)?.checked_add(self.kernel));
        let is_covered = above <= self.padding
            && input.height > 0
            && reach.is_some_and(|reach| reach <= above + input.height + self.padding);
        if !is_covered {
            return Err(self.too_large(input));
        }
        let width = self.along(input.width).ok_or_else(|| self.too_large(input))?;
        let output = Extent { batch: input.batch, height: rows, width };
        output.values(self.channels_out)?;
        Ok(output)
    }

    fn along(self, length: usize) -> Option<usize> {
        let padded = length + 2 * self.padding;
        (length > 0 && padded >= self.kernel).then(|| (padded - self.kernel) / self.stride + 1)
    }

    fn too_large(self, input: Extent) -> KernelError {
        KernelError::WindowTooLarge { window: self.kernel, input, padding: self.padding }
    }

    /// Multiplications and additions of a direct convolution, in pairs.
    pub fn multiply_adds(self, output: Extent) -> u64 {
        output.pixels() as u64 * self.weight_len() as u64
    }
}

/// A max pooling with the same extent along both axes; padding never wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PoolParams {
    /// Side of the window.
    pub kernel: usize,
    /// Step of the window.
    pub stride: usize,
    /// Ignored places around the input.
    pub padding: usize,
    /// Whether a last window that only partly meets the input counts.
    pub ceil_mode: bool,
}

impl PoolParams {
    /// What comes out of images of this extent.
    ///
    /// # Errors
    /// [`KernelError::Pooling`] or [`KernelError::WindowTooLarge`].
    pub fn output(self, input: Extent) -> Result<Extent, KernelError> {
        self.check()?;
        input.values(1)?;
        let height = self.along(input.height).ok_or_else(|| self.too_large(input))?;
        let width = self.along(input.width).ok_or_else(|| self.too_large(input))?;
        Ok(Extent { batch: input.batch, height, width })
    }

    /// What comes out of the rows that a band covers.
    ///
    /// # Errors
    /// As [`PoolParams::output`], also where a window of the band lies wholly outside these rows.
    pub fn band_output(self, input: Extent, band: Band) -> Result<Extent, KernelError> {
        self.check()?;
        input.values(1)?;
        let Band { above, rows } = band;
        let last = rows.checked_sub(1).and_then(|last| last.checked_mul(self.stride));
        let is_covered = above <= self.padding && last.is_some_and(|last| last < above + input.height);
        let width = self.along(input.width).filter(|_| is_covered && input.height > 0);
        let width = width.ok_or_else(|| self.too_large(input))?;
        Ok(Extent { batch: input.batch, height: rows, width })
    }

    fn check(self) -> Result<(), KernelError> {
        let refuse = |reason| Err(KernelError::Pooling { params: self, reason });
        if self.kernel == 0 || self.stride == 0 || self.kernel > 4096 || self.stride > 4096 {
            return refuse("the window and its step must be 1 to 4096 pixels");
        }
        if self.padding * 2 > self.kernel {
            return refuse("the padding may be at most half the window");
        }
        Ok(())
    }

    fn along(self, length: usize) -> Option<usize> {
        let padded = length + 2 * self.padding;
        let free = padded.checked_sub(self.kernel).filter(|_| length > 0)?;
        let floor = free / self.stride + 1;
        // With partial windows: one more where some input is left, if it does not begin in the padding behind.
        let more = self.ceil_mode
            && !free.is_multiple_of(self.stride)
            && floor * self.stride < length + self.padding;
        Some(floor + usize::from(more))
    }

    fn too_large(self, input: Extent) -> KernelError {
        KernelError::WindowTooLarge { window: self.kernel, input, padding: self.padding }
    }
}
