// out[i] is 1, multiplied p times by x[i]: each product rounded as the CPU rounds it, so results are the same bits.
extern "C" __global__ void power(const float *x, float *out, const unsigned p, const unsigned n)
{
    const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) {
        return; // the grid is rounded up to whole blocks
    }
    const float factor = x[i];
    float product = 1.0f;
    for (unsigned k = 0; k < p; ++k) {
        product *= factor;
    }
    out[i] = product;
}
