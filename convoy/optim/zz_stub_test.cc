#include "convoy/ops/elementwise.h"
namespace convoy::ops {
void add_(Tensor&t,const Tensor&v,double s){ for(int64_t i=0;i<t.numel();++i){ if(t.dtype()==DType::kFloat32) t.data<float>()[i]+=(float)s*v.data<float>()[i]; else t.data<double>()[i]+=s*v.data<double>()[i]; } }
Tensor add(const Tensor&a,const Tensor&b){Tensor c=a.clone(); add_(c,b); return c;}
}
